// One open intrusion as a card: who, from where, the worst of it, how far it came.
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { IncidentSummary } from "../api/types";
import { visible } from "../format";
import { useText } from "../i18n";
import { processName } from "../story";
import { type Fact, Facts, InContainer, ProcessWord, User } from "./facts";
import { StageWords } from "./stages";
import { SeverityTag } from "./tags";
import { When } from "./when";
import { LongWord } from "./words";

function useFacts(incident: IncidentSummary): (Fact | false)[] {
  const { t } = useTranslation();
  const text = useText();
  const { root, source, worst_step } = incident;
  return [
    source != null && {
      label: t("field.source"),
      value: <LongWord text={source} what={t("field.source")} keep={20} />,
      wide: true,
    },
    worst_step != null && { label: t("field.worstStep"), value: visible(text(worst_step)), wide: true },
    { label: t("field.rootProcess"), value: <ProcessWord exe={root.exe} comm={root.comm} />, wide: true },
    { label: t("field.pid"), value: root.pid },
    { label: t("field.user"), value: <User uid={root.uid} /> },
    root.container != null && {
      label: t("field.container"),
      value: <InContainer container={root.container} />,
      wide: true,
    },
    { label: t("field.since"), value: <When atMs={incident.since_ms} /> },
    incident.last_step_ms > 0 && { label: t("field.lastStep"), value: <When atMs={incident.last_step_ms} /> },
    incident.stages.length > 0 && {
      label: t("field.stages"),
      value: <StageWords stages={incident.stages} />,
      whole: true,
    },
  ];
}

export function IntrusionCard({ incident }: { incident: IncidentSummary }) {
  const { t } = useTranslation();
  return (
    <article className="mining intrusion">
      <header>
        <h3>{visible(processName(incident.root))}</h3>
        <SeverityTag severity={incident.severity} />
        {incident.steps > 0 && <span className="soft">{t("field.steps", { count: incident.steps })}</span>}
      </header>
      <Facts facts={useFacts(incident)} />
      <Link className="mining-more" to={`/incidents/${encodeURIComponent(incident.uid)}`}>
        {t("intrusions.details")}
      </Link>
    </article>
  );
}
