// What happened, in order of time: first sign, findings, what was done, the end.
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Tag } from "tdesign-react/es/tag";
import { Timeline } from "tdesign-react/es/timeline";
import type { Detection, Incident, Outcome, Process } from "../api/types";
import { visible } from "../format";
import { useText } from "../i18n";
import { InContainer, ProcessWord, User } from "../parts/facts";
import { Section } from "../parts/notices";
import { useTactic } from "../parts/stages";
import { SeverityTag } from "../parts/tags";
import { When } from "../parts/when";
import { Word } from "../parts/words";
import { commandOf, isEntry, processName } from "../story";

type Dot = "default" | "primary" | "warning" | "error" | "success";

interface Moment {
  key: string;
  at_ms: number;
  dot: Dot;
  what: ReactNode;
}

type Verb = "freeze" | "thaw" | "kill" | "cut_socket" | "disk";

function verbOf(outcome: Outcome): Verb {
  const { action } = outcome;
  if ("freeze" in action) return "freeze";
  if ("thaw" in action) return "thaw";
  if ("disk" in action) return "disk";
  return "kill" in action ? "kill" : "cut_socket";
}

export function OutcomeWords({ outcome }: { outcome: Outcome }) {
  const { t } = useTranslation();
  const { target, state } = outcome;
  const name = processName({ exe: target.exe, comm: target.comm, pid: target.key.pid });
  const process = `${visible(name)} (${target.key.pid})`;
  const result = typeof state === "string" ? t(`outcome.${state}`) : t("outcome.failed", { why: visible(state.failed) });
  const theme = state === "done" || state === "already" ? "success" : "warning";
  return (
    <span className="outcome">
      <b>{t(`action.${verbOf(outcome)}`, { process })}</b>{" "}
      <Tag size="small" theme={theme} variant="light-outline" className="tag outcome-state">
        {result}
      </Tag>
    </span>
  );
}

// Who did a step, started by whom, on whose account and where.
function Actors({ finding }: { finding: Detection }) {
  const { t } = useTranslation();
  const { subject, parent } = finding;
  if (subject == null) return null;
  const one = (process: Process) => (
    <>
      <ProcessWord exe={process.exe} comm={process.comm} /> <span className="soft">({process.key.pid})</span>
    </>
  );
  return (
    <p className="moment-actors">
      <span>{one(subject)}</span>
      {parent != null && (
        <span>
          <span className="soft">{t("incident.startedBy")}</span> {one(parent)}
        </span>
      )}
      <span className="soft">
        {t("field.user")} <User uid={subject.uid} />
      </span>
      {subject.container != null && (
        <span className="soft">
          {t("field.container")} <InContainer container={subject.container} />
        </span>
      )}
    </p>
  );
}

function Finding({ finding, incident }: { finding: Detection; incident: Incident }) {
  const { t } = useTranslation();
  const text = useText();
  const tactic = useTactic();
  const { is_intrusion } = incident.story;
  const why = text(finding.why);
  const command = is_intrusion ? commandOf(finding, why) : "";
  return (
    <div className="moment" id={`step-${finding.uid}`}>
      <div className="moment-head">
        <b>{visible(text(finding.title))}</b>
        <SeverityTag severity={finding.severity} />
        {isEntry(incident, finding) && (
          <Tag size="small" theme="danger" variant="outline" className="tag">
            {t("incident.entry")}
          </Tag>
        )}
      </div>
      <p>{visible(why)}</p>
      {command !== "" && (
        <p className="command">
          <Word text={command} />
        </p>
      )}
      {is_intrusion && <Actors finding={finding} />}
      <p className="soft moment-foot">
        <code>{visible(finding.rule)}</code>
        {finding.remote != null && is_intrusion && (
          <span>
            {t("field.remote")} <Word text={finding.remote} />
          </span>
        )}
        {finding.attacks.map((attack) => (
          <span key={attack.technique + attack.tactic} title={`${t("incident.attacks")} ${attack.version}, ${tactic(attack.tactic, attack.tactic_name)}`}>
            {visible(`${attack.technique} ${attack.name}`)}
          </span>
        ))}
      </p>
    </div>
  );
}

function useMoments(incident: Incident): Moment[] {
  const { t } = useTranslation();
  const mark = (key: string, at_ms: number, dot: Dot, words: string): Moment => ({ key, at_ms, dot, what: <b>{words}</b> });
  const first = incident.findings[0]?.at_ms;
  const moments: Moment[] = [
    // A story that begins with its first step needs no mark to say so.
    ...(incident.since_ms === first ? [] : [mark("began", incident.since_ms, "default", t("incident.began"))]),
    ...(incident.opened_ms === first ? [] : [mark("opened", incident.opened_ms, "error", t("incident.openedMark"))]),
    ...incident.findings.map((finding): Moment => ({
      key: finding.uid,
      at_ms: finding.at_ms,
      dot: finding.severity === "critical" || finding.severity === "high" ? "error" : "warning",
      what: <Finding finding={finding} incident={incident} />,
    })),
    ...incident.outcomes.map((outcome): Moment => ({
      key: `outcome ${outcome.entry}`,
      at_ms: outcome.at_ms,
      dot: "success",
      what: <OutcomeWords outcome={outcome} />,
    })),
  ];
  if (incident.state === "closed") moments.push(mark("closed", incident.changed_ms, "success", t(incident.story.is_intrusion ? "incident.closedIntrusion" : "incident.closedMark")));
  // Sorting is stable: at one time, the mark comes before its findings and the end after them.
  return moments.sort((a, b) => a.at_ms - b.at_ms);
}

export function StorySection({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const moments = useMoments(incident);
  return (
    <Section title={t("incident.timeline")}>
      <Timeline mode="same" className="story">
        {moments.map((moment) => (
          <Timeline.Item key={moment.key} dotColor={moment.dot}>
            <span className="moment-time">
              <When atMs={moment.at_ms} seconds hint={false} />
            </span>
            {moment.what}
          </Timeline.Item>
        ))}
      </Timeline>
      {incident.folded > 0 && <p className="note">{t("incident.folded", { count: incident.folded })}</p>}
    </Section>
  );
}
