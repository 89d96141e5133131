import { expect, it } from "vitest";
import { withGaps } from "./series";

it("more than a minute without a point is a gap, not a straight line", () => {
  const at = (...times: number[]) => times.map((at_ms) => ({ at_ms, cpu_percent: 5 }));
  expect(withGaps(at(0, 60_000))).toEqual([
    [0, 5],
    [60_000, 5],
  ]);
  expect(withGaps(at(0, 60_001))).toEqual([
    [0, 5],
    [1, null],
    [60_001, 5],
  ]);
  expect(withGaps([])).toEqual([]);
});
