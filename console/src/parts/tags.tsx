// Severity, state and probability, each told by shape and word as well as by colour.
import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import ArrowUpCircleFilledIcon from "tdesign-icons-react/esm/components/arrow-up-circle-filled";
import CheckCircleFilledIcon from "tdesign-icons-react/esm/components/check-circle-filled";
import ErrorCircleFilledIcon from "tdesign-icons-react/esm/components/error-circle-filled";
import ErrorTriangleFilledIcon from "tdesign-icons-react/esm/components/error-triangle-filled";
import InfoCircleFilledIcon from "tdesign-icons-react/esm/components/info-circle-filled";
import MinusCircleFilledIcon from "tdesign-icons-react/esm/components/minus-circle-filled";
import PauseCircleFilledIcon from "tdesign-icons-react/esm/components/pause-circle-filled";
import ShieldErrorFilledIcon from "tdesign-icons-react/esm/components/shield-error-filled";
import { Progress } from "tdesign-react/es/progress";
import { Tag } from "tdesign-react/es/tag";
import type { IncidentState, Severity } from "../api/types";
import { percent } from "../format";
import { useLang } from "../settings";

type TagTheme = "default" | "primary" | "warning" | "danger" | "success";

const SEVERITY: Record<Severity, { theme: TagTheme; icon: ReactElement }> = {
  informational: { theme: "default", icon: <InfoCircleFilledIcon /> },
  low: { theme: "primary", icon: <MinusCircleFilledIcon /> },
  medium: { theme: "warning", icon: <ArrowUpCircleFilledIcon /> },
  high: { theme: "danger", icon: <ErrorTriangleFilledIcon /> },
  critical: { theme: "danger", icon: <ShieldErrorFilledIcon /> },
};

export function SeverityTag({ severity }: { severity: Severity }) {
  const { t } = useTranslation();
  const look = SEVERITY[severity];
  return (
    <Tag
      theme={look.theme}
      icon={look.icon}
      variant={severity === "critical" ? "dark" : "light"}
      className={`tag tag-${severity}`}
    >
      {t(`severity.${severity}`)}
    </Tag>
  );
}

const STATE: Record<IncidentState, { theme: TagTheme; icon: ReactElement }> = {
  open: { theme: "danger", icon: <ErrorCircleFilledIcon /> },
  contained: { theme: "warning", icon: <PauseCircleFilledIcon /> },
  closed: { theme: "success", icon: <CheckCircleFilledIcon /> },
};

// An intrusion that is open need not go on: it waits for a person.
export function StateTag({ state, isMining }: { state: IncidentState; isMining: boolean }) {
  const { t } = useTranslation();
  const look = STATE[state];
  const word = state === "open" && !isMining ? "left" : state;
  return (
    <Tag theme={look.theme} icon={look.icon} variant="light-outline" className="tag" title={t(`stateHint.${word}`)}>
      {t(`state.${word}`)}
    </Tag>
  );
}

// What an incident is about; one that began with an intrusion and ended in mining is about both.
export function AboutTags({ isMining, isIntrusion }: { isMining: boolean; isIntrusion: boolean }) {
  const { t } = useTranslation();
  const about = [isIntrusion && ("intrusion" as const), isMining && ("mining" as const)].filter((each) => each !== false);
  return (
    <span className="with-tag">
      {about.map((each) => (
        <Tag key={each} size="small" variant="outline" className="tag">
          {t(`about.${each}`)}
        </Tag>
      ))}
    </span>
  );
}

// A share of 1 as a bar with its number beside it.
export function Share({ share, label, tone = "brand" }: { share: number; label: string; tone?: "brand" | "danger" }) {
  const lang = useLang();
  const words = percent(lang, share);
  return (
    <div className="share" role="img" aria-label={`${label}: ${words}`}>
      <Progress
        percentage={Math.round(Math.min(1, Math.max(0, share)) * 100)}
        // A full bar would turn green with a tick: certainty of mining is no success.
        status="active"
        color={tone === "danger" ? "var(--td-error-color)" : "var(--td-brand-color)"}
        label={<span className="share-number">{words}</span>}
      />
    </div>
  );
}
