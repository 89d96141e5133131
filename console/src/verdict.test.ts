import { describe, expect, it } from "vitest";
import { evidence, NOW, overview } from "./test-data";
import { byGroup, doubt, verdict } from "./verdict";

const mining = { ...overview().mining_now, incidents: 1, processes: 1, probability_max: 0.97 };

const entered = { incidents: 1, worst: "high" as const, since_ms: NOW - 3_600_000, last_step_ms: NOW - 15 * 60_000 };

describe("the verdict", () => {
  it("waits until a machine has named itself", () => {
    const host = { ...overview().host, name: "" };
    expect(verdict(overview({ host, load: null }), NOW)).toEqual({ kind: "waiting" });
  });

  it("is calm only when nothing is blind or lost", () => {
    expect(verdict(overview(), NOW)).toMatchObject({ kind: "none", note: "calm" });
    const blind = [{ what: "gpu", why: { en: "no library", zh: "没有库" } }];
    expect(verdict(overview({ blind }), NOW)).toMatchObject({ kind: "none", note: "calmBlind" });
    const counts = [{ hook: "exec", made: 10, seen: 9, lost: 1 }];
    expect(verdict(overview({ counts }), NOW)).toMatchObject({ kind: "none", note: "calmLost" });
    expect(verdict(overview({ queue_lost: 1 }), NOW)).toMatchObject({ kind: "none", note: "calmLost" });
  });

  it("says mining when an incident is open, blind or not", () => {
    expect(verdict(overview({ mining_now: mining }), NOW)).toEqual({ kind: "mining", host: "web-01" });
  });

  it("says intrusion when one is open, but mining first", () => {
    const late = { ...entered, last_step_ms: NOW - 15 * 60_000 - 1 };
    const unknown = { ...entered, last_step_ms: null };
    const say = (intrusion_now: typeof entered | typeof unknown) => verdict(overview({ intrusion_now }), NOW);
    expect(say(entered)).toEqual({ kind: "intrusion", host: "web-01", isUnderWay: true });
    expect(say(late)).toEqual({ kind: "intrusion", host: "web-01", isUnderWay: false });
    expect(say(unknown)).toMatchObject({ kind: "intrusion", isUnderWay: false });
    expect(verdict(overview({ intrusion_now: entered, mining_now: mining }), NOW)).toMatchObject({ kind: "mining" });
    expect(verdict(overview({ intrusion_now: entered }), NOW + 90_000)).toMatchObject({ kind: "silent", was: "intrusion" });
  });

  it("does not call a machine clean that has been silent for over a minute", () => {
    expect(verdict(overview(), NOW + 60_000)).toMatchObject({ kind: "none" });
    expect(verdict(overview(), NOW + 60_001)).toEqual({ kind: "silent", host: "web-01", forMs: 60_001, was: "none" });
    expect(verdict(overview({ mining_now: mining }), NOW + 90_000)).toMatchObject({ kind: "silent", was: "mining" });
  });
});

describe("evidence", () => {
  it("counts only the strongest of a kind, strongest kind first", () => {
    const groups = byGroup([evidence("load", 0.1), evidence("protocol", 0.5), evidence("protocol", 0.9)]);
    expect(groups.map((group) => [group.group, group.weight, group.evidence.length])).toEqual([
      ["protocol", 0.9, 2],
      ["load", 0.1, 1],
    ]);
    expect(doubt(groups)).toBeCloseTo(0.09);
  });

  it("does not weigh what an intruder did besides mining", () => {
    expect(byGroup([evidence("behaviour", 0), evidence("load", 0.1)]).map((group) => group.group)).toEqual(["load"]);
  });

  it("leaves all doubt when there is none", () => {
    expect(doubt(byGroup([]))).toBe(1);
  });
});
