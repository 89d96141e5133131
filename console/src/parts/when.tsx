// A time: local clock, how long ago, and the whole of it on hover.
import { useNow } from "../api/clock";
import { ago, clock, fullTime } from "../format";
import { useLang } from "../settings";

export function When({ atMs, seconds = false, hint = true }: { atMs: number; seconds?: boolean; hint?: boolean }) {
  const lang = useLang();
  const now = useNow();
  return (
    <time className="when" dateTime={new Date(atMs).toISOString()} title={fullTime(lang, atMs)}>
      <span>{clock(lang, atMs, now, seconds)}</span>
      {hint && <span className="soft"> {ago(lang, atMs, now)}</span>}
    </time>
  );
}
