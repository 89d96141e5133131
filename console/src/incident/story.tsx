// What happened, in order of time: first sign, findings, what was done, the end.
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Tag } from "tdesign-react/es/tag";
import { Timeline } from "tdesign-react/es/timeline";
import type { Detection, Incident, Outcome } from "../api/types";
import { baseName, visible } from "../format";
import { useText } from "../i18n";
import { Section } from "../parts/notices";
import { SeverityTag } from "../parts/tags";
import { When } from "../parts/when";

type Dot = "default" | "primary" | "warning" | "error" | "success";

interface Moment {
  key: string;
  at_ms: number;
  dot: Dot;
  what: ReactNode;
}

type Verb = "freeze" | "thaw" | "kill" | "cut_socket";

function verbOf(outcome: Outcome): Verb {
  const { action } = outcome;
  if ("freeze" in action) return "freeze";
  if ("thaw" in action) return "thaw";
  return "kill" in action ? "kill" : "cut_socket";
}

export function OutcomeWords({ outcome }: { outcome: Outcome }) {
  const { t } = useTranslation();
  const { target, state } = outcome;
  const name = target.exe === "" ? target.comm : baseName(target.exe);
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

function Finding({ finding }: { finding: Detection }) {
  const { t } = useTranslation();
  const text = useText();
  return (
    <div className="moment">
      <div className="moment-head">
        <b>{visible(text(finding.title))}</b>
        <SeverityTag severity={finding.severity} />
      </div>
      <p>{visible(text(finding.why))}</p>
      <p className="soft moment-foot">
        <code>{visible(finding.rule)}</code>
        {finding.attacks.map((attack) => (
          <span key={attack.technique} title={`${t("incident.attacks")} ${attack.version}, ${attack.tactic_name}`}>
            {attack.technique} {attack.name}
          </span>
        ))}
      </p>
    </div>
  );
}

function useMoments(incident: Incident): Moment[] {
  const { t } = useTranslation();
  const mark = (key: string, at_ms: number, dot: Dot, words: string): Moment => ({ key, at_ms, dot, what: <b>{words}</b> });
  const moments: Moment[] = [
    mark("began", incident.since_ms, "default", t("incident.began")),
    mark("opened", incident.opened_ms, "error", t("incident.openedMark")),
    ...incident.findings.map((finding): Moment => ({
      key: finding.uid,
      at_ms: finding.at_ms,
      dot: finding.severity === "critical" || finding.severity === "high" ? "error" : "warning",
      what: <Finding finding={finding} />,
    })),
    ...incident.outcomes.map((outcome): Moment => ({
      key: `outcome ${outcome.entry}`,
      at_ms: outcome.at_ms,
      dot: "success",
      what: <OutcomeWords outcome={outcome} />,
    })),
  ];
  if (incident.state === "closed") moments.push(mark("closed", incident.changed_ms, "success", t("incident.closedMark")));
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
          <Timeline.Item key={moment.key} dotColor={moment.dot} label={<When atMs={moment.at_ms} seconds hint={false} />}>
            {moment.what}
          </Timeline.Item>
        ))}
      </Timeline>
      {incident.folded > 0 && <p className="note">{t("incident.folded", { count: incident.folded })}</p>}
    </Section>
  );
}
