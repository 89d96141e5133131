// Which words the page speaks. Follows settings.ts; both languages are part of the page, nothing is fetched.
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import type { Text } from "../api/types";
import { currentLang, onSettings, useLang } from "../settings";
import { en } from "./en";
import { zh } from "./zh";

declare module "i18next" {
  interface CustomTypeOptions {
    resources: { translation: typeof en };
  }
}

void i18next.use(initReactI18next).init({
  lng: currentLang(),
  fallbackLng: "en",
  resources: { en: { translation: en }, zh: { translation: zh } },
  interpolation: { escapeValue: false }, // React escapes
});
onSettings(() => void i18next.changeLanguage(currentLang()));

// Picks the reader's half of a text that the server sends in both languages.
export function useText(): (text: Text) => string {
  const lang = useLang();
  return (text) => (lang === "zh" && text.zh !== "" ? text.zh : text.en);
}

export { i18next };
