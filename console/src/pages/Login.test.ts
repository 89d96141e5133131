import { describe, expect, it } from "vitest";
import { safeTarget, takeToken, tokenOf } from "./Login";

describe("the one-time link", () => {
  it("is taken as a whole, as a fragment, or as the bare token", () => {
    expect(tokenOf(" https://127.0.0.1:8443/login#token=abc123 ")).toBe("abc123");
    expect(tokenOf("#token=abc123")).toBe("abc123");
    expect(tokenOf("abc123\n")).toBe("abc123");
    expect(tokenOf("  ")).toBe("");
  });

  it("leaves the address bar when it is taken, and is taken once", () => {
    window.history.replaceState(null, "", "/login?from=%2Fincidents#token=abc123");
    expect(takeToken()).toBe("abc123");
    expect(window.location.href).not.toContain("abc123");
    expect(window.location.search).toBe("?from=%2Fincidents");
    expect(takeToken()).toBe("");
  });
});

describe("where a login leads", () => {
  it("is a page of ours, never another site", () => {
    expect(safeTarget("/incidents?state=open")).toBe("/incidents?state=open");
    expect(safeTarget("//evil.example")).toBe("/");
    expect(safeTarget("/\\evil.example")).toBe("/");
    expect(safeTarget("https://evil.example")).toBe("/");
    expect(safeTarget("/login?from=x")).toBe("/");
    expect(safeTarget(null)).toBe("/");
  });
});
