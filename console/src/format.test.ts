import { describe, expect, it } from "vitest";
import { ago, baseName, clock, cpuTime, duration, hashRate, money, percent, shorten, visible } from "./format";

describe("percent", () => {
  it("never rounds doubt away", () => {
    expect(percent("en", 0.9784)).toBe("98 %");
    expect(percent("en", 0.9999)).toBe("> 99 %");
    expect(percent("en", 1)).toBe("100 %");
    expect(percent("en", 0.0001)).toBe("< 1 %");
    expect(percent("en", 0)).toBe("0 %");
    expect(percent("zh", 0.97)).toBe("97%");
  });
});

describe("duration", () => {
  it("names at most two units", () => {
    expect(duration("en", 0)).toBe("0 s");
    expect(duration("en", 59_999)).toBe("59 s");
    expect(duration("en", 60_000)).toBe("1 min");
    expect(duration("en", 3_600_000)).toBe("1 h");
    expect(duration("en", 3_900_000)).toBe("1 h 5 min");
    expect(duration("zh", 3_900_000)).toBe("1小时5分钟");
    expect(duration("en", 90_000_000)).toBe("1 d 1 h");
  });

  it("is not negative when clocks differ", () => {
    expect(duration("en", -5000)).toBe("0 s");
    expect(ago("en", 2000, 1000)).toBe("just now");
  });
});

describe("clock", () => {
  it("names the day when it is not today", () => {
    const today = new Date(2026, 2, 14, 2, 13).getTime();
    const now = new Date(2026, 2, 14, 12, 0).getTime();
    expect(clock("en", today, now)).toBe("02:13");
    expect(clock("en", today - 86_400_000, now)).toContain("13 Mar");
  });
});

describe("figures", () => {
  it("have a fitting unit", () => {
    expect(hashRate("en", 543)).toBe("543 H/s");
    expect(hashRate("en", 3912)).toBe("3.9 kH/s");
    expect(hashRate("en", 61_300_000)).toBe("61.3 MH/s");
    expect(money("en", 4.1, "USD")).toBe("4.10 USD");
    expect(money("en", 0.0042, "EUR")).toBe("< 0.01 EUR");
    expect(money("en", 0, "EUR")).toBe("0.00 EUR");
    expect(cpuTime("en", 0.4)).toBe("0.4 s");
    expect(cpuTime("en", 1460)).toBe("24 min");
    expect(cpuTime("en", 20_022)).toBe("5.6 h");
  });
});

describe("words from outside", () => {
  it("show marks that turn the reading direction, and control characters", () => {
    expect(visible("a\u202egpj.exe")).toBe("a\\u{202e}gpj.exe");
    expect(visible("\u001b[31mred\u0007")).toBe("\\x1b[31mred\\x07");
    expect(visible("/tmp/<b>x</b>")).toBe("/tmp/<b>x</b>");
    expect(visible("矿池 pool")).toBe("矿池 pool");
  });

  it("keep both ends when shortened", () => {
    expect(shorten("48abcdefghijklmnopqrstuvwxyz")).toBe("48abcdef…stuvwxyz");
    expect(shorten("short")).toBe("short");
    expect(baseName("/tmp/.x/kswapd0")).toBe("kswapd0");
    expect(baseName("kswapd0")).toBe("kswapd0");
  });
});
