// Keeps the caches fresh from the server's event stream, so that nobody has to reload.
//
// A load or host report goes straight into the overview; anything that changes lists or sums makes the lists ask
// again, at most once a second, while the old rows stay on the page. The server decides what a list holds.
// Does not keep reports: what is missed while the line is down is asked for when it is back.
import type { QueryClient, QueryKey } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { api } from "./client";
import { keys } from "./queries";
import type { Load, Overview, Report } from "./types";

export type LiveState = "connecting" | "live" | "reconnecting";

// The server keeps one point for 10 s; an hour of them is what the chart shows.
const POINT_MS = 10_000;
const POINTS = 360;
// At most one refetch a second for each list, however fast reports come.
const REFETCH_MS = 1000;
// The browser retries a broken line by itself, but gives up on a refusal (a full or restarting server).
const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 30_000;

export function withLoad(overview: Overview | undefined, load: Load): Overview | undefined {
  if (overview === undefined) return overview;
  const last = overview.series.at(-1);
  const isNew = last === undefined || load.at_ms - last.at_ms >= POINT_MS;
  const point = { at_ms: load.at_ms, cpu_percent: load.cpu_percent };
  const series = isNew ? [...overview.series, point].slice(-POINTS) : overview.series;
  return { ...overview, load, series, counts: load.counts };
}

export class Live {
  private state: LiveState = "connecting";
  private readonly listeners = new Set<() => void>();
  private source: EventSource | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private retryMs = RETRY_FIRST_MS;
  private readonly pending = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(private readonly caches: QueryClient) {}

  start(): void {
    if (this.source !== undefined) return;
    const source = new EventSource("/api/events");
    this.source = source;
    source.onopen = () => {
      // What happened while the line was down is not sent again.
      if (this.state === "reconnecting") this.askAll();
      this.retryMs = RETRY_FIRST_MS;
      this.enter("live");
    };
    source.onerror = () => {
      this.enter("reconnecting");
      if (source.readyState === EventSource.CLOSED) this.tryLater();
    };
    source.addEventListener("report", (event) => this.take(event.data as string));
    source.addEventListener("lagged", () => this.askAll());
  }

  stop(): void {
    this.source?.close();
    this.source = undefined;
    clearTimeout(this.retry);
    for (const timer of this.pending.values()) clearTimeout(timer);
    this.pending.clear();
    this.enter("connecting");
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  current = (): LiveState => this.state;

  private enter(next: LiveState): void {
    if (this.state === next) return;
    this.state = next;
    for (const listener of this.listeners) listener();
  }

  private tryLater(): void {
    this.source?.close();
    this.source = undefined;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => {
      // A refusal may mean that the session ended: a 401 leads to the login page, anything else is tried again.
      api.session().then(
        () => this.start(),
        () => this.tryLater(),
      );
    }, this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_LAST_MS);
  }

  private take(text: string): void {
    let report: Report;
    try {
      report = JSON.parse(text) as Report;
    } catch {
      // Not a report that this page knows: ask for the whole instead of guessing.
      this.askAll();
      return;
    }
    switch (report.type) {
      case "host":
      case "outcome":
        this.askSoon(keys.overview);
        if (report.type === "outcome") this.askSoon(keys.incident(report.cause));
        break;
      case "detection":
        this.askSoon(keys.detections);
        this.askSoon(keys.overview);
        break;
      case "incident":
        this.askSoon(keys.incident(report.incident.uid));
        this.askSoon(keys.incidents);
        this.askSoon(keys.overview);
        break;
      case "load":
        this.caches.setQueryData<Overview>(keys.overview, (old) => withLoad(old, report));
        break;
    }
  }

  private askAll(): void {
    void this.caches.invalidateQueries();
  }

  private askSoon(key: QueryKey): void {
    const name = JSON.stringify(key);
    if (this.pending.has(name)) return;
    // The first change shows at once; a burst is answered once a second.
    void this.caches.invalidateQueries({ queryKey: key });
    this.pending.set(
      name,
      setTimeout(() => {
        this.pending.delete(name);
        void this.caches.invalidateQueries({ queryKey: key });
      }, REFETCH_MS),
    );
  }
}

export const useLive = (live: Live): LiveState => useSyncExternalStore(live.subscribe, live.current);
