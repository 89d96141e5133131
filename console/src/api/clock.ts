// The present time of the server. A browser's own clock may be hours off, and "no news for an hour" must not come
// from that.
import { useSyncExternalStore } from "react";

// How often hints of the kind "3 min ago" move.
const TICK_MS = 5000;
// The Date header has whole seconds and an answer takes its time: less than this is taken for no difference.
const NOISE_MS = 2000;

let offsetMs = 0;
let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

export const serverNow = (): number => Date.now() + offsetMs;

function tick(): void {
  now = serverNow();
  for (const listener of listeners) listener();
}

// Learns the server's clock from the Date header of an answer.
export function readClock(header: string | null): void {
  const date = Date.parse(header ?? "");
  if (Number.isNaN(date)) return;
  const difference = date - Date.now();
  const next = Math.abs(difference) < NOISE_MS ? 0 : difference;
  if (Math.abs(next - offsetMs) < NOISE_MS) return;
  offsetMs = next;
  tick();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(tick, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

// The server's time, new every 5 s; one timer for the whole page.
export const useNow = (): number => useSyncExternalStore(subscribe, () => now);
