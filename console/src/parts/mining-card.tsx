// One mining incident as a card: who, how sure, where to, what it costs.
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { IncidentSummary, Overview } from "../api/types";
import { baseName, cpuTime, visible } from "../format";
import { useLang } from "../settings";
import { Cost, type Fact, Facts, HashRate, InContainer, Unknown, User } from "./facts";
import { SeverityTag, Share } from "./tags";
import { When } from "./when";
import { LongWord, Word } from "./words";

function useFacts(incident: IncidentSummary, price: Overview["price"]): (Fact | false)[] {
  const { t } = useTranslation();
  const lang = useLang();
  const { root } = incident;
  return [
    { label: t("field.process"), value: <Word text={root.exe === "" ? root.comm : root.exe} />, wide: true },
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
  ];
}

export function MiningCard({ incident, price }: { incident: IncidentSummary; price: Overview["price"] }) {
  const { t } = useTranslation();
  const name = incident.root.exe === "" ? incident.root.comm : baseName(incident.root.exe);
  return (
    <article className="mining">
      <header>
        <h3>{visible(name)}</h3>
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
