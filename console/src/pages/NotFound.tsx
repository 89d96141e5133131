// An address without a page.
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import FileSearchIcon from "tdesign-icons-react/esm/components/file-search";
import { Nothing } from "../parts/notices";

export function NotFound() {
  const { t } = useTranslation();
  return (
    <>
      <h1 className="hidden-title">{t("app.notFound")}</h1>
      <Nothing
        icon={<FileSearchIcon />}
        title={t("app.notFound")}
        hint={t("app.notFoundHint")}
        action={<Link to="/">{t("app.toOverview")}</Link>}
      />
    </>
  );
}
