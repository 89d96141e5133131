// Name and sign of the product.
import { useTranslation } from "react-i18next";

export function Brand() {
  const { t } = useTranslation();
  return (
    <span className="brand">
      <img src="/favicon.svg" alt="" width="28" height="28" />
      <span>{t("app.name")}</span>
    </span>
  );
}
