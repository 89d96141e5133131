// The load curve as the chart wants it.
import type { Overview } from "../api/types";

// A gap longer than this is drawn as a gap: nobody looked then.
const GAP_MS = 60_000;

export type Point = [number, number | null];

export function withGaps(series: Overview["series"]): Point[] {
  const points: Point[] = [];
  let before: number | undefined;
  for (const { at_ms, cpu_percent } of series) {
    if (before !== undefined && at_ms - before > GAP_MS) points.push([before + 1, null]);
    points.push([at_ms, Math.round(cpu_percent * 10) / 10]);
    before = at_ms;
  }
  return points;
}
// On a phone the word at a mark is as wide as this; marks closer together share one.
const NAME_MS = 10 * 60_000;

export interface Mark {
  at: number;
  isNamed: boolean;
}

export function marked(times: number[]): Mark[] {
  let named = -Infinity;
  return times.toSorted((a, b) => a - b).map((at) => {
    const isNamed = at - named >= NAME_MS;
    if (isNamed) named = at;
    return { at, isNamed };
  });
}
