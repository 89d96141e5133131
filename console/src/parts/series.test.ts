import { expect, it } from "vitest";
import { marked, withGaps } from "./series";

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

it("marks within ten minutes share one name", () => {
  const names = marked([600_000, 0, 599_999, 1_199_999]);
  expect(names.map(({ at, isNamed }) => [at, isNamed])).toEqual([
    [0, true],
    [599_999, false],
    [600_000, true],
    [1_199_999, false],
  ]);
});
