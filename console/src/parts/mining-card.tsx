// One mining incident as a card: who, how sure, where to, what it costs.
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { IncidentSummary, Overview } from "../api/types";
import { cpuTime, visible } from "../format";
import { useLang } from "../settings";
import { processName } from "../story";
import { Cost, type Fact, Facts, HashRate, InContainer, ProcessWord, Unknown, User } from "./facts";
import { StageWords } from "./stages";
import { SeverityTag, Share } from "./tags";
import { When } from "./when";
import { LongWord, Word } from "./words";

function useFacts(incident: IncidentSummary, price: Overview["price"]): (Fact | false)[] {
  const { t } = useTranslation();
  const lang = useLang();
  const { root } = incident;
  // The root may be the shell that started the miner; the title names who mines.
  const rootLabel = incident.pids.includes(root.pid) ? "field.process" : "field.rootProcess";
  return [
    { label: t(rootLabel), value: <ProcessWord exe={root.exe} comm={root.comm} />, wide: true },
    { label: t("field.pid"), value: root.pid },
    { label: t("field.pool"), value: incident.pool == null ? <Unknown /> : <Word text={incident.pool} />, wide: true },
    { label: t("field.user"), value: <User uid={root.uid} /> },
    {
      label: t("field.wallet"),
      value: incident.wallet == null ? <Unknown /> : <LongWord text={incident.wallet} what={t("field.wallet")} />,
      wide: true,
    },
    { label: t("field.container"), value: <InContainer container={root.container} />, wide: root.container != null },
    { label: t("field.algorithm"), value: incident.algorithm == null ? <Unknown /> : <Word text={incident.algorithm} /> },
    {
      label: t("field.hashRate"),
      value: <HashRate perSecond={incident.hash_rate_hs} estimated={incident.estimated} />,
    },
    { label: t("field.worker"), value: incident.worker == null ? <Unknown /> : <Word text={incident.worker} /> },
    { label: t("field.since"), value: <When atMs={incident.since_ms} /> },
    { label: t("field.cpuHours"), value: cpuTime(lang, incident.cpu_seconds) },
    { label: t("field.cost"), value: <Cost amount={incident.cost} price={price} /> },
    incident.source != null && {
      label: t("field.source"),
      value: <LongWord text={incident.source} what={t("field.source")} keep={20} />,
      wide: true,
    },
    incident.is_intrusion && incident.stages.length > 0 && {
      label: t("field.stages"),
      value: <StageWords stages={incident.stages} />,
      whole: true,
    },
  ];
}

export function MiningCard({ incident, price }: { incident: IncidentSummary; price: Overview["price"] }) {
  const { t } = useTranslation();
  return (
    <article className="mining">
      <header>
        <h3>{visible(processName(incident.root))}</h3>
        <SeverityTag severity={incident.severity} />
        <span className="soft">{t(`kind.${incident.kind}`)}</span>
        {incident.pids.length > 1 && <span className="soft">{t("field.pids", { count: incident.pids.length })}</span>}
      </header>
      <Share share={incident.probability} label={t("field.probability")} tone="danger" />
      <Facts facts={useFacts(incident, price)} />
      <Link className="mining-more" to={`/incidents/${encodeURIComponent(incident.uid)}`}>
        {t("now.details")}
      </Link>
    </article>
  );
}
