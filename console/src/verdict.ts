// What the overview says in one sentence, and how evidence adds up. Mining goes before an intrusion without it: it costs
// money now. Pure, so that the promises can be tested.
import type { Evidence, Group, Overview } from "./api/types";

// The agent reports every few seconds; a minute without a word means that "no mining" can no longer be said.
const SILENT_MS = 60_000;
// As long as the agent joins two steps to one intrusion: after that it was seen, and may be over.
const UNDER_WAY_MS = 15 * 60_000;

export type Verdict =
  | { kind: "waiting" }
  | { kind: "silent"; host: string; forMs: number; was: "none" | "mining" | "intrusion" }
  | { kind: "none"; host: string; note: "calm" | "calmBlind" | "calmLost"; contained: number }
  | { kind: "mining"; host: string }
  | { kind: "intrusion"; host: string; isUnderWay: boolean };

export function lostRecords(overview: Overview): number {
  return overview.queue_lost + overview.counts.reduce((sum, count) => sum + count.lost, 0);
}

// Something open wants somebody's eye.
export function isAlarm(overview: Overview): boolean {
  return overview.mining_now.incidents > 0 || overview.intrusion_now.incidents > 0;
}

export function verdict(overview: Overview, nowMs: number): Verdict {
  const { name } = overview.host;
  if (name === "") return { kind: "waiting" };
  const isMining = overview.mining_now.incidents > 0;
  const isEntered = overview.intrusion_now.incidents > 0;
  const heard = overview.load?.at_ms;
  if (heard !== undefined && nowMs - heard > SILENT_MS) {
    return { kind: "silent", host: name, forMs: nowMs - heard, was: isMining ? "mining" : isEntered ? "intrusion" : "none" };
  }
  if (isMining) return { kind: "mining", host: name };
  if (isEntered) return { kind: "intrusion", host: name, isUnderWay: isUnderWay(overview, nowMs) };
  const note = overview.blind.length > 0 ? "calmBlind" : lostRecords(overview) > 0 ? "calmLost" : "calm";
  return { kind: "none", host: name, note, contained: overview.totals.contained };
}

// The newest step of an open intrusion is so young that the next one is to be expected.
export function isUnderWay(overview: Overview, nowMs: number): boolean {
  const last = overview.intrusion_now.last_step_ms;
  return last != null && nowMs - last <= UNDER_WAY_MS;
}

// Kinds of evidence that say something of mining.
export type Sign = Exclude<Group, "behaviour">;

export interface Weighed {
  group: Sign;
  weight: number;
  // The one that counts comes first.
  evidence: Evidence[];
}

// Evidence by kind, the strongest kind first. What an intruder did besides says nothing of mining: the story has it.
export function byGroup(evidence: Evidence[]): Weighed[] {
  const groups = new Map<Sign, Evidence[]>();
  for (const item of evidence) {
    if (item.group === "behaviour") continue;
    const list = groups.get(item.group);
    if (list === undefined) groups.set(item.group, [item]);
    else list.push(item);
  }
  const weighed = [...groups].map(([group, list]) => {
    const sorted = list.toSorted((a, b) => b.weight - a.weight);
    return { group, weight: sorted[0]?.weight ?? 0, evidence: sorted };
  });
  return weighed.sort((a, b) => b.weight - a.weight);
}

// The doubt that is left when each kind has taken its share: product of (1 - weight).
export function doubt(weighed: Weighed[]): number {
  return weighed.reduce((left, item) => left * (1 - item.weight), 1);
}
