// What the verdict rests on: each kind of evidence with the share of doubt that it takes away.
import { useTranslation } from "react-i18next";
import type { Incident } from "../api/types";
import { number, percent, visible } from "../format";
import { useText } from "../i18n";
import { Section } from "../parts/notices";
import { Share } from "../parts/tags";
import { useLang } from "../settings";
import { byGroup, doubt, type Weighed } from "../verdict";

// The sum is shown only where it gives the server's figure; else (a floor, a cap) the figure alone is right.
const SAME = 0.006;

function Kind({ item }: { item: Weighed }) {
  const { t } = useTranslation();
  const text = useText();
  const lang = useLang();
  const removes = t("incident.removes", { percent: percent(lang, item.weight) });
  return (
    <li className="evidence">
      <div className="evidence-head">
        <h3>{t(`group.${item.group}`)}</h3>
        <span className="soft">{t(`groupHint.${item.group}`)}</span>
      </div>
      <Share share={item.weight} label={`${t(`group.${item.group}`)}, ${removes}`} />
      <ul>
        {item.evidence.map((one, index) => (
          <li key={`${one.rule} ${index}`} className={index > 0 ? "soft" : undefined}>
            <span>{visible(text(one.text))}</span>{" "}
            <code className="soft">
              {visible(one.rule)}
              {index > 0 && ` · ${t("incident.same")}`}
            </code>
          </li>
        ))}
      </ul>
    </li>
  );
}

export function EvidenceSection({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const lang = useLang();
  const groups = byGroup(incident.evidence);
  const left = doubt(groups);
  const { probability } = incident.mining;
  const sum =
    groups.length > 1 && Math.abs(1 - left - probability) < SAME
      ? t("incident.formulaSum", {
          product: groups.map((item) => number(lang, 1 - item.weight, 3)).join(" × "),
          doubt: number(lang, left, 4),
          percent: percent(lang, probability),
        })
      : "";
  return (
    <Section title={t("incident.evidence")}>
      <ul className="evidence-list">
        {groups.map((item) => (
          <Kind key={item.group} item={item} />
        ))}
      </ul>
      <p className="note">
        {t("incident.formula")} {sum}
      </p>
    </Section>
  );
}
