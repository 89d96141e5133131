// How far an intrusion came: the stages of ATT&CK that were seen, in their order.
import { Fragment } from "react";
import { useTranslation } from "react-i18next";
import PauseCircleFilledIcon from "tdesign-icons-react/esm/components/pause-circle-filled";
import { useNow } from "../api/clock";
import type { Stage } from "../api/types";
import { clock, visible } from "../format";
import { en } from "../i18n/en";
import { useLang } from "../settings";
import { Section } from "./notices";

type Tactic = keyof typeof en.tactic;
const isKnown = (tactic: string): tactic is Tactic => tactic in en.tactic;

// A tactic in the reader's language; one that is newer than this page by the name that came with it.
export function useTactic(): (tactic: string, name?: string) => string {
  const { t } = useTranslation();
  const lang = useLang();
  return (tactic, name = "") => {
    if (isKnown(tactic) && (lang === "zh" || name === "")) return t(`tactic.${tactic}`);
    return visible(name === "" ? tactic : name);
  };
}

export function StageWords({ stages }: { stages: string[] }) {
  const tactic = useTactic();
  return (
    <span className="stage-words">
      {stages.map((stage, index) => (
        <Fragment key={stage}>
          {index > 0 && <span className="soft"> → </span>}
          <span className="stage-word">{tactic(stage)}</span>
        </Fragment>
      ))}
    </span>
  );
}

function StageBox({ stage }: { stage: Stage }) {
  const { t } = useTranslation();
  const tactic = useTactic();
  const lang = useLang();
  const now = useNow();
  const look = stage.stopped === 0 ? "seen" : stage.stopped < stage.steps ? "partly" : "stopped";
  return (
    <li className={`stage stage-${look}`}>
      <b>{tactic(stage.tactic, stage.name)}</b>
      <span className="soft">{visible(stage.tactic)}</span>
      <span className="soft">{clock(lang, stage.first_ms, now)}</span>
      <span>{t("stage.steps", { count: stage.steps })}</span>
      {stage.stopped > 0 && (
        <span className="stage-stop">
          <PauseCircleFilledIcon aria-hidden="true" /> {t("stage.stopped", { count: stage.stopped })}
        </span>
      )}
    </li>
  );
}

export function StageStrip({ stages }: { stages: Stage[] }) {
  const { t } = useTranslation();
  if (stages.length === 0) return null;
  return (
    <Section title={t("stage.title")} className="stages">
      <ol className="stage-strip">
        {stages.map((stage) => (
          <StageBox key={stage.tactic} stage={stage} />
        ))}
      </ol>
      <p className="note">{t("stage.note")}</p>
    </Section>
  );
}
