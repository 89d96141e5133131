// An address without a page.
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import FileSearchIcon from "tdesign-icons-react/esm/components/file-search";
import { Nothing } from "../parts/notices";
import { useTitle } from "../parts/title";

export function NotFound() {
  const { t } = useTranslation();
  useTitle(t("app.notFound"));
  return (
    <>
      <h1 className="for-readers">{t("app.notFound")}</h1>
      <Nothing
        icon={<FileSearchIcon />}
        title={t("app.notFound")}
        hint={t("app.notFoundHint")}
        action={<Link to="/">{t("app.toOverview")}</Link>}
      />
    </>
  );
}
