// Names and values in columns; the same wording for the same fact on every page.
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Tag } from "tdesign-react/es/tag";
import { Tooltip } from "tdesign-react/es/tooltip";
import type { Container, Overview } from "../api/types";
import { hashRate, money } from "../format";
import { useLang } from "../settings";
import { LongWord, Word } from "./words";

export interface Fact {
  label: string;
  value: ReactNode;
  wide?: boolean;
  // A line of its own.
  whole?: boolean;
}

export function Facts({ facts }: { facts: (Fact | false)[] }) {
  return (
    <dl className="facts">
      {facts.map(
        (fact) =>
          fact !== false && (
            <div key={fact.label} className={`fact${fact.wide === true ? " fact-wide" : ""}${fact.whole === true ? " fact-whole" : ""}`}>
              <dt>{fact.label}</dt>
              <dd>{fact.value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

export function Unknown() {
  const { t } = useTranslation();
  return <span className="soft">{t("app.unknown")}</span>;
}

// What a process runs: its file, else the name it gives itself.
export function ProcessWord({ exe, comm }: { exe: string; comm: string }) {
  const word = exe === "" ? comm : exe;
  return word === "" ? <Unknown /> : <Word text={word} />;
}

export function HashRate({ perSecond, estimated }: { perSecond: number | null | undefined; estimated: boolean }) {
  const { t } = useTranslation();
  const lang = useLang();
  if (perSecond == null) return <Unknown />;
  return (
    <span className="with-tag">
      {hashRate(lang, perSecond)}
      {estimated && (
        <Tooltip content={t("field.estimatedHint")}>
          <Tag size="small" variant="outline" className="tag">
            {t("field.estimated")}
          </Tag>
        </Tooltip>
      )}
    </span>
  );
}

export function User({ uid }: { uid: number }) {
  const { t } = useTranslation();
  return <>{uid === 0 ? t("field.rootUser") : String(uid)}</>;
}

export function InContainer({ container }: { container: Container | null | undefined }) {
  const { t } = useTranslation();
  if (container == null) return <>{t("field.noContainer")}</>;
  return (
    <span className="with-tag">
      {container.runtime !== "" && <span>{container.runtime}</span>}
      <LongWord text={container.id} what={t("field.container")} keep={6} />
    </span>
  );
}

export function Cost({ amount, price }: { amount: number; price: Overview["price"] | undefined }) {
  const lang = useLang();
  return <>{money(lang, amount, price?.currency ?? "")}</>;
}
