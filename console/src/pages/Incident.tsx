// One incident: what happened and what to do; for an intrusion the story first, for mining the verdict and the money.
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import ErrorTriangleFilledIcon from "tdesign-icons-react/esm/components/error-triangle-filled";
import FileSearchIcon from "tdesign-icons-react/esm/components/file-search";
import { Progress } from "tdesign-react/es/progress";
import { ApiError } from "../api/client";
import { useNow } from "../api/clock";
import { incidentQuery, overviewQuery } from "../api/queries";
import type { Incident } from "../api/types";
import { ago, clock, percent, visible } from "../format";
import { useText } from "../i18n";
import { AddressSection, AdviceSection, DoneSection, MoneySection, RawSection, WhereSection } from "../incident/aside";
import { CloseIncident } from "../incident/close";
import { EvidenceSection } from "../incident/evidence";
import { ProcessSection } from "../incident/process";
import { StorySection } from "../incident/story";
import { useWide } from "../parts/media";
import { Failed, Nothing, Waiting } from "../parts/notices";
import { StageStrip } from "../parts/stages";
import { AboutTags, SeverityTag, StateTag } from "../parts/tags";
import { useTitle } from "../parts/title";
import { LongWord } from "../parts/words";
import { useLang } from "../settings";

function Trail() {
  const { t } = useTranslation();
  return (
    <nav className="trail" aria-label={t("app.incidents")}>
      <Link to="/incidents">← {t("app.incidents")}</Link>
    </nav>
  );
}

// How sure it is of mining; an intrusion is a fact and has a sign instead.
function HeadSign({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const lang = useLang();
  const isWide = useWide();
  if (!incident.story.is_mining) {
    return (
      <span className="band-icon" aria-hidden="true">
        <ErrorTriangleFilledIcon />
      </span>
    );
  }
  const sure = percent(lang, incident.mining.probability);
  return (
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
  );
}

// How it came in, and from where: what a person looks for first.
function EntryLine({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const text = useText();
  const { entry, source } = incident.story;
  if (entry == null) return null;
  return (
    <div className="entry">
      <span className="entry-text">
        <b>{t("incident.entry")}</b> {visible(text(entry.text))}
      </span>
      {source != null && (
        <span className="entry-source">
          <b>{t("field.source")}</b> <LongWord text={source} what={t("field.source")} keep={20} />
        </span>
      )}
    </div>
  );
}

function Head({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const text = useText();
  const lang = useLang();
  const now = useNow();
  const { is_mining, is_intrusion } = incident.story;
  useTitle(text(incident.title));
  const tone = incident.state !== "open" ? incident.state : is_mining ? "mining" : "intrusion";
  return (
    <section className={`band band-${tone}`}>
      <HeadSign incident={incident} />
      <div className="band-words">
        <h1>{visible(text(incident.title))}</h1>
        <EntryLine incident={incident} />
        <div className="band-tags">
          <StateTag state={incident.state} isMining={is_mining} />
          <SeverityTag severity={incident.severity} />
          <AboutTags isMining={is_mining} isIntrusion={is_intrusion} />
          <span className="soft">
            {is_mining && `${t(`kind.${incident.mining.kind}`)} · `}
            {is_intrusion && `${t("field.steps", { count: incident.findings.length })} · `}
            {t("app.since", { time: clock(lang, incident.since_ms, now) })} ·{" "}
            {t("incident.changed", { ago: ago(lang, incident.changed_ms, now) })}
          </span>
        </div>
      </div>
      <CloseIncident incident={incident} />
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
  const { story } = incident;
  return (
    <div className="page">
      <Trail />
      <Head incident={incident} />
      {story.is_intrusion && <StageStrip stages={story.stages} />}
      <div className={`two-columns incident-columns${story.is_intrusion ? " story-first" : ""}`}>
        <div className="column">
          <AdviceSection incident={incident} />
          <DoneSection incident={incident} overview={overview} />
          {story.is_intrusion && <AddressSection incident={incident} />}
          {story.is_mining && <WhereSection incident={incident} />}
          {story.is_mining && <MoneySection incident={incident} overview={overview} />}
        </div>
        <div className="column">
          {story.is_intrusion && <StorySection incident={incident} />}
          {story.is_mining && <EvidenceSection incident={incident} />}
          <ProcessSection incident={incident} />
          {!story.is_intrusion && <StorySection incident={incident} />}
        </div>
      </div>
      <RawSection incident={incident} />
    </div>
  );
}
