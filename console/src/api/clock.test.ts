import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { readClock, serverNow } from "./clock";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) });
});
afterEach(() => {
  readClock(new Date().toUTCString());
  vi.useRealTimers();
});

it("the server's clock holds, however wrong the browser's is", () => {
  readClock(new Date(Date.now() + 3_600_000).toUTCString());
  expect(serverNow() - Date.now()).toBe(3_600_000);
});

it("less than two seconds is no difference, and no header changes nothing", () => {
  readClock(new Date(Date.now() + 1000).toUTCString());
  readClock(null);
  readClock("not a date");
  expect(serverNow()).toBe(Date.now());
});
