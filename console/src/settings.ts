// What the reader chose: colours and language. Kept in this browser; until then the browser's own wishes hold.
// Same keys as public/early.js, which applies them before the first paint.
import { useSyncExternalStore } from "react";

export type Theme = "light" | "dark";
export type Lang = "en" | "zh";

const THEME = "minesweep.theme";
const LANG = "minesweep.lang";
const listeners = new Set<() => void>();

// Storage can be closed by policy; then a choice lasts as long as the page.
function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The choice still holds for this page.
  }
}

const systemDark = () => window.matchMedia("(prefers-color-scheme: dark)");

function firstTheme(): Theme {
  const chosen = stored(THEME);
  if (chosen === "light" || chosen === "dark") return chosen;
  return systemDark().matches ? "dark" : "light";
}

function firstLang(): Lang {
  const chosen = stored(LANG) ?? navigator.language;
  return chosen.toLowerCase().startsWith("zh") ? "zh" : "en";
}

let theme: Theme = firstTheme();
let lang: Lang = firstLang();

function apply(): void {
  document.documentElement.setAttribute("theme-mode", theme);
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
  for (const listener of listeners) listener();
}

systemDark().addEventListener("change", () => {
  if (stored(THEME) !== null) return;
  theme = firstTheme();
  apply();
});
apply();

export function chooseTheme(next: Theme): void {
  theme = next;
  store(THEME, next);
  apply();
}

export function chooseLang(next: Lang): void {
  lang = next;
  store(LANG, next);
  apply();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useTheme = (): Theme => useSyncExternalStore(subscribe, () => theme);
export const useLang = (): Lang => useSyncExternalStore(subscribe, () => lang);
export const currentLang = (): Lang => lang;
export const onSettings = subscribe;
