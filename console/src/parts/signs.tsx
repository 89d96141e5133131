// In one line under the sentence: what watches, what it may do, what it lost, what it cannot see.
import { useTranslation } from "react-i18next";
import BrowseOffIcon from "tdesign-icons-react/esm/components/browse-off";
import CheckCircleIcon from "tdesign-icons-react/esm/components/check-circle";
import DataErrorIcon from "tdesign-icons-react/esm/components/error-circle";
import SecuredIcon from "tdesign-icons-react/esm/components/secured";
import ServerIcon from "tdesign-icons-react/esm/components/server";
import { Tag } from "tdesign-react/es/tag";
import type { Overview } from "../api/types";
import { number, visible } from "../format";
import { useLang } from "../settings";
import { lostRecords } from "../verdict";

export function useSensor(sensor: string): string {
  const { t } = useTranslation();
  if (sensor === "bpf") return t("health.sensorBpf");
  return sensor === "proc" ? t("health.sensorProc") : visible(sensor);
}

export function Signs({ overview }: { overview: Overview }) {
  const { t } = useTranslation();
  const lang = useLang();
  const sensor = useSensor(overview.host.sensor);
  const { load, blind } = overview;
  const lost = lostRecords(overview);
  return (
    <div className="signs">
      {sensor !== "" && (
        <Tag className="tag" icon={<ServerIcon />} theme={overview.host.sensor === "proc" ? "warning" : "default"} variant="outline">
          {t("health.sensorIs", { name: sensor })}
        </Tag>
      )}
      {load != null && (
        <Tag className="tag" icon={<SecuredIcon />} variant="outline" title={t(`mode.${load.mode}Hint`)}>
          {t("health.modeIs", { name: t(`mode.${load.mode}`) })}
        </Tag>
      )}
      <Tag
        className="tag"
        icon={lost > 0 ? <DataErrorIcon /> : <CheckCircleIcon />}
        theme={lost > 0 ? "danger" : "default"}
        variant="outline"
        title={t("health.lostHint")}
      >
        {t("health.lostSign", { lost: number(lang, lost) })}
      </Tag>
      {blind.length > 0 && (
        <a href="#blind">
          <Tag className="tag" icon={<BrowseOffIcon />} theme="warning" variant="outline">
            {t("health.blindCount", { count: blind.length })}
          </Tag>
        </a>
      )}
      {blind.length === 0 && overview.host.name !== "" && (
        <Tag className="tag" icon={<CheckCircleIcon />} variant="outline">
          {t("health.sees")}
        </Tag>
      )}
    </div>
  );
}
