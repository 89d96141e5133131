// Language and colours, one press each.
import { useTranslation } from "react-i18next";
import MoonIcon from "tdesign-icons-react/esm/components/moon";
import SunnyIcon from "tdesign-icons-react/esm/components/sunny";
import TranslateIcon from "tdesign-icons-react/esm/components/translate";
import { Button } from "tdesign-react/es/button";
import { chooseLang, chooseTheme, useLang, useTheme } from "../settings";

export function Switches() {
  const { t } = useTranslation();
  const lang = useLang();
  const theme = useTheme();
  const other = lang === "zh" ? "en" : "zh";
  const colours = theme === "dark" ? t("app.toLight") : t("app.toDark");
  return (
    <>
      <Button
        variant="text"
        icon={<TranslateIcon />}
        onClick={() => chooseLang(other)}
        title={t("app.otherLang")}
        lang={other === "zh" ? "zh-CN" : "en"}
      >
        {t("app.otherLangShort")}
      </Button>
      <Button
        variant="text"
        shape="square"
        icon={theme === "dark" ? <SunnyIcon /> : <MoonIcon />}
        aria-label={colours}
        title={colours}
        onClick={() => chooseTheme(theme === "dark" ? "light" : "dark")}
      />
    </>
  );
}
