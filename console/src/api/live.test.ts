import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NOW, overview } from "../test-data";
import { Live, withLoad } from "./live";
import { keys } from "./queries";
import type { Overview } from "./types";

// Only what Live uses of an EventSource, moved by hand.
class Line extends EventTarget {
  static last: Line;
  static readonly CLOSED = 2;
  readyState = 1;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;

  constructor() {
    super();
    Line.last = this;
  }

  close() {
    this.readyState = Line.CLOSED;
  }

  says(report: unknown) {
    this.dispatchEvent(new MessageEvent("report", { data: JSON.stringify(report) }));
  }
}

const load = (at_ms: number) => ({ ...overview().load!, at_ms, cpu_percent: 50 });

let caches: QueryClient;
let live: Live;
let asked: string[];

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", Line);
  caches = new QueryClient();
  asked = [];
  vi.spyOn(caches, "invalidateQueries").mockImplementation((filters) => {
    asked.push(JSON.stringify(filters?.queryKey ?? "all"));
    return Promise.resolve();
  });
  live = new Live(caches);
  live.start();
  Line.last.onopen?.();
});

afterEach(() => {
  live.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a load report", () => {
  it("moves the overview without asking the server", () => {
    caches.setQueryData(keys.overview, overview());
    Line.last.says({ type: "load", ...load(NOW + 2000) });
    expect(caches.getQueryData<Overview>(keys.overview)?.load?.cpu_percent).toBe(50);
    expect(asked).toEqual([]);
  });

  it("adds a point every ten seconds and keeps an hour of them", () => {
    let now: Overview | undefined = overview({ series: [{ at_ms: NOW, cpu_percent: 1 }] });
    now = withLoad(now, load(NOW + 9_999));
    expect(now?.series).toHaveLength(1);
    now = withLoad(now, load(NOW + 10_000));
    expect(now?.series).toHaveLength(2);
    for (let slot = 2; slot < 400; slot += 1) now = withLoad(now, load(NOW + slot * 10_000));
    expect(now?.series).toHaveLength(360);
  });

  it("waits for the overview to be there", () => {
    expect(withLoad(undefined, load(NOW))).toBeUndefined();
  });
});

describe("a flood of detections", () => {
  it("asks at once and then once a second, however many come", () => {
    for (let count = 0; count < 500; count += 1) Line.last.says({ type: "detection" });
    expect(asked).toEqual(['["detections"]', '["overview"]']);
    vi.advanceTimersByTime(1000);
    expect(asked).toHaveLength(4);
    vi.advanceTimersByTime(10_000);
    expect(asked).toHaveLength(4);
  });
});

describe("the line", () => {
  it("asks for everything after a gap, when it lags, and when it does not understand", () => {
    Line.last.onerror?.();
    expect(live.current()).toBe("reconnecting");
    Line.last.onopen?.();
    expect(live.current()).toBe("live");
    expect(asked).toEqual(['"all"']);
    Line.last.dispatchEvent(new MessageEvent("lagged"));
    Line.last.dispatchEvent(new MessageEvent("report", { data: "{" }));
    expect(asked).toEqual(['"all"', '"all"', '"all"']);
  });

  it("asks at once for an incident that changed, and for the lists that hold it", () => {
    Line.last.says({ type: "incident", change: "updated", incident: { uid: "inc-1" } });
    expect(asked).toEqual(['["incident","inc-1"]', '["incidents"]', '["overview"]']);
  });
});
