// Numbers, times and hostile strings as people read them. Pure: language and the present time come in.
import type { Lang } from "./settings";

// English numbers and months, but a 24-hour clock: "since 02:13" must not need an a.m.
const LOCALE: Record<Lang, string> = { en: "en-GB", zh: "zh-CN" };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export function number(lang: Lang, value: number, digits = 0): string {
  return new Intl.NumberFormat(LOCALE[lang], { maximumFractionDigits: digits }).format(value);
}

// A share of 1 as whole percent. Never "100 %" or "0 %" unless it is: certainty is not ours to round up to.
export function percent(lang: Lang, share: number): string {
  const whole = Math.round(share * 100);
  if (whole >= 100 && share < 1) return lang === "zh" ? ">99%" : "> 99 %";
  if (whole <= 0 && share > 0) return lang === "zh" ? "<1%" : "< 1 %";
  return lang === "zh" ? `${whole}%` : `${whole} %`;
}

// Money in the currency of the server's settings; a code that Intl refuses is shown as it is.
export function money(lang: Lang, amount: number, currency: string): string {
  const form = new Intl.NumberFormat(LOCALE[lang], { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const isCrumb = amount > 0 && amount < 0.01;
  return `${isCrumb ? `< ${form.format(0.01)}` : form.format(amount)} ${currency}`;
}

// Hashes a second with a fitting prefix: 543 H/s, 4.2 kH/s, 61 MH/s.
export function hashRate(lang: Lang, perSecond: number): string {
  const units = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s"];
  let value = perSecond;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${number(lang, value, value < 100 ? 1 : 0)} ${units[unit]}`;
}

export function bytes(lang: Lang, kib: number): string {
  return kib < 1024 ? `${number(lang, kib)} KiB` : `${number(lang, kib / 1024, 1)} MiB`;
}

// Processor time in hours, in a finer unit when it is less than one.
export function cpuTime(lang: Lang, seconds: number): string {
  if (seconds < 60) return `${number(lang, seconds, 1)} ${lang === "zh" ? "秒" : "s"}`;
  if (seconds < 3600) return `${number(lang, seconds / 60)} ${lang === "zh" ? "分钟" : "min"}`;
  return `${number(lang, seconds / 3600, 1)} ${lang === "zh" ? "小时" : "h"}`;
}

function sameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

// Local time; the day is named when it is not today.
export function clock(lang: Lang, atMs: number, nowMs: number, seconds = false): string {
  const today = sameDay(atMs, nowMs);
  return new Intl.DateTimeFormat(LOCALE[lang], {
    hour: "2-digit",
    minute: "2-digit",
    second: seconds ? "2-digit" : undefined,
    hourCycle: "h23",
    month: today ? undefined : "short",
    day: today ? undefined : "numeric",
  }).format(atMs);
}

// The whole of it, with the zone, for a title or an export.
export function fullTime(lang: Lang, atMs: number): string {
  return new Intl.DateTimeFormat(LOCALE[lang], { dateStyle: "full", timeStyle: "long", hourCycle: "h23" }).format(atMs);
}

// A length of time in at most two units: 40 s, 12 min, 1 h 5 min, 3 d 4 h.
export function duration(lang: Lang, ms: number): string {
  const word = lang === "zh" ? { s: "秒", m: "分钟", h: "小时", d: "天" } : { s: "s", m: "min", h: "h", d: "d" };
  const part = (value: number, unit: string) => (lang === "zh" ? `${value}${unit}` : `${value} ${unit}`);
  const glue = lang === "zh" ? "" : " ";
  const two = (big: string, small: string) => (small === "" ? big : big + glue + small);
  const span = Math.max(0, ms);
  if (span < MINUTE) return part(Math.floor(span / 1000), word.s);
  if (span < HOUR) return part(Math.floor(span / MINUTE), word.m);
  if (span < DAY) {
    const minutes = Math.floor((span % HOUR) / MINUTE);
    return two(part(Math.floor(span / HOUR), word.h), minutes === 0 ? "" : part(minutes, word.m));
  }
  const hours = Math.floor((span % DAY) / HOUR);
  return two(part(Math.floor(span / DAY), word.d), hours === 0 ? "" : part(hours, word.h));
}

export function ago(lang: Lang, atMs: number, nowMs: number): string {
  const span = nowMs - atMs;
  if (span < 5000) return lang === "zh" ? "刚刚" : "just now";
  return lang === "zh" ? `${duration(lang, span)}前` : `${duration(lang, span)} ago`;
}

// The ends of a long word, which is where people compare wallets.
export function shorten(text: string, keep = 8): string {
  return text.length <= keep * 2 + 3 ? text : `${text.slice(0, keep)}…${text.slice(-keep)}`;
}

// Names come from processes, which choose them: control characters and marks that turn the reading direction are
// shown as escapes, so that a name cannot pose as another (Trojan Source, CVE-2021-42574).
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (mark) => {
    const code = mark.codePointAt(0) ?? 0;
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

// The last part of a path, for headings; the whole path stands beside it.
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
