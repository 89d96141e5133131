// One incident: the verdict and what it rests on, the money, the process, what happened and what was done.
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import FileSearchIcon from "tdesign-icons-react/esm/components/file-search";
import { Progress } from "tdesign-react/es/progress";
import { ApiError } from "../api/client";
import { useNow } from "../api/clock";
import { incidentQuery, overviewQuery } from "../api/queries";
import type { Incident } from "../api/types";
import { ago, clock, percent, visible } from "../format";
import { useText } from "../i18n";
import { AdviceSection, DoneSection, MoneySection, RawSection, WhereSection } from "../incident/aside";
import { EvidenceSection } from "../incident/evidence";
import { ProcessSection } from "../incident/process";
import { StorySection } from "../incident/story";
import { useWide } from "../parts/media";
import { Failed, Nothing, Waiting } from "../parts/notices";
import { SeverityTag, StateTag } from "../parts/tags";
import { useTitle } from "../parts/title";
import { useLang } from "../settings";

function Trail() {
  const { t } = useTranslation();
  return (
    <nav className="trail" aria-label={t("app.incidents")}>
      <Link to="/incidents">← {t("app.incidents")}</Link>
    </nav>
  );
}

function Head({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const text = useText();
  const lang = useLang();
  const now = useNow();
  const isWide = useWide();
  useTitle(text(incident.title));
  const sure = percent(lang, incident.mining.probability);
  return (
    <section className={`band band-${incident.state === "open" ? "mining" : incident.state}`}>
      <div className="sure" role="img" aria-label={`${t("field.probability")}: ${sure}`}>
        <Progress
          theme="circle"
          size={isWide ? "88" : "64"}
          strokeWidth={isWide ? 8 : 6}
          percentage={Math.round(incident.mining.probability * 100)}
          status="active"
          color={incident.state === "open" ? "var(--td-error-color)" : "var(--td-text-color-secondary)"}
          label={<span className="sure-number">{sure}</span>}
        />
      </div>
      <div className="band-words">
        <h1>{visible(text(incident.title))}</h1>
        <div className="band-tags">
          <StateTag state={incident.state} />
          <SeverityTag severity={incident.severity} />
          <span className="soft">
            {t(`kind.${incident.mining.kind}`)} · {t("app.since", { time: clock(lang, incident.since_ms, now) })} ·{" "}
            {t("incident.changed", { ago: ago(lang, incident.changed_ms, now) })}
          </span>
        </div>
      </div>
    </section>
  );
}

export default function IncidentPage() {
  const { t } = useTranslation();
  const { uid = "" } = useParams();
  const found = useQuery(incidentQuery(uid));
  const overview = useQuery(overviewQuery).data;
  if (found.data === undefined) {
    const isGone = found.error instanceof ApiError && found.error.status === 404;
    return (
      <div className="page">
        <Trail />
        {found.error === null && <Waiting rows={8} />}
        {isGone && (
          <>
            <h1 className="for-readers">{t("incident.gone")}</h1>
            <Nothing icon={<FileSearchIcon />} title={t("incident.gone")} hint={t("incident.goneHint")} />
          </>
        )}
        {found.error !== null && !isGone && <Failed error={found.error} again={() => void found.refetch()} />}
      </div>
    );
  }
  const incident = found.data;
  return (
    <div className="page">
      <Trail />
      <Head incident={incident} />
      <div className="two-columns incident-columns">
        <div className="column">
          <AdviceSection incident={incident} />
          <DoneSection incident={incident} overview={overview} />
          <WhereSection incident={incident} />
          <MoneySection incident={incident} overview={overview} />
        </div>
        <div className="column">
          <EvidenceSection incident={incident} />
          <ProcessSection incident={incident} />
          <StorySection incident={incident} />
        </div>
      </div>
      <RawSection incident={incident} />
    </div>
  );
}
