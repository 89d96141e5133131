// Beside the evidence: what to do, what was done, the money, where it goes, and the raw data.
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import DownloadIcon from "tdesign-icons-react/esm/components/download";
import { Button } from "tdesign-react/es/button";
import { Collapse } from "tdesign-react/es/collapse";
import type { Incident, Overview } from "../api/types";
import { cpuTime, number, visible } from "../format";
import { useText } from "../i18n";
import { Cost, type Fact, Facts, HashRate, Unknown } from "../parts/facts";
import { Section } from "../parts/notices";
import { When } from "../parts/when";
import { CopyButton, LongWord, Word } from "../parts/words";
import { useLang } from "../settings";
import { addressesOf, adviceOf, isEntry, isStep } from "../story";
import { OutcomeWords } from "./story";

export function AdviceSection({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const text = useText();
  const advice = adviceOf(incident, (finding) => text(finding.advice));
  return (
    <Section title={t("incident.advice")} className="advice">
      {advice.length === 0 ? (
        <p className="soft">{t("incident.adviceNone")}</p>
      ) : (
        <ol>
          {advice.map(({ finding, advice }) => (
            <li key={advice}>
              {incident.story.is_intrusion && (
                <a className="advice-step" href={`#step-${finding.uid}`}>
                  {visible(text(finding.title))}
                </a>
              )}
              {visible(advice)}
            </li>
          ))}
        </ol>
      )}
    </Section>
  );
}

export function DoneSection({ incident, overview }: { incident: Incident; overview: Overview | undefined }) {
  const { t } = useTranslation();
  const isObserving = overview?.load?.mode === "observe";
  return (
    <Section title={t("incident.outcomes")}>
      {incident.outcomes.length === 0 ? (
        <p className="soft">{isObserving ? t("incident.outcomesObserve") : t("incident.outcomesNone")}</p>
      ) : (
        <ul className="outcomes">
          {incident.outcomes.map((outcome) => (
            <li key={outcome.entry}>
              <OutcomeWords outcome={outcome} />
              <span className="soft">
                <When atMs={outcome.at_ms} seconds hint={false} /> · {t("incident.journal", { entry: outcome.entry })}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}

export function MoneySection({ incident, overview }: { incident: Incident; overview: Overview | undefined }) {
  const { t } = useTranslation();
  const lang = useLang();
  const { mining } = incident;
  const price = overview?.price;
  return (
    <Section title={t("incident.money")}>
      <div className="big-number">
        <Cost amount={mining.cost} price={price} />
        <span className="soft">{t("field.cost")}</span>
      </div>
      <Facts
        facts={[
          { label: t("field.cpuHours"), value: cpuTime(lang, mining.cpu_seconds) },
          { label: t("field.hashRate"), value: <HashRate perSecond={mining.hash_rate_hs} estimated={mining.estimated} /> },
        ]}
      />
      {price !== undefined && (
        <p className="note">
          {t("incident.moneyNote", { price: number(lang, price.per_cpu_hour, 4), currency: price.currency })}
        </p>
      )}
    </Section>
  );
}

export function WhereSection({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const { mining } = incident;
  const remotes = addressesOf(incident.findings.filter((finding) => !isStep(finding)));
  const word = (label: string, text: string | null | undefined): Fact => ({
    label,
    value: text == null ? <Unknown /> : <Word text={text} />,
  });
  return (
    <Section title={t("incident.where")}>
      <Facts
        facts={[
          {
            label: t("field.wallet"),
            wide: true,
            value: mining.wallet == null ? <Unknown /> : <LongWord text={mining.wallet} what={t("field.wallet")} keep={12} />,
          },
          { ...word(t("field.pool"), mining.pool), wide: true },
          remotes.length > 0 && {
            label: t("field.remote"),
            wide: true,
            value: (
              <span className="words">
                {remotes.slice(0, 5).map(({ remote }) => (
                  <Word key={remote} text={remote} />
                ))}
              </span>
            ),
          },
          word(t("field.worker"), mining.worker),
          word(t("field.algorithm"), mining.algorithm),
        ]}
      />
      {mining.pool == null && remotes.length === 0 && <p className="note">{t("incident.noPool")}</p>}
    </Section>
  );
}

// Every address that a step names, with the step that named it first.
export function AddressSection({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const text = useText();
  const addresses = addressesOf(incident.findings.filter(isStep));
  if (addresses.length === 0) return null;
  return (
    <Section title={t("incident.addresses")}>
      <ul className="addresses">
        {addresses.map(({ remote, finding }) => (
          <li key={remote}>
            <LongWord text={remote} what={t("field.remote")} keep={24} />
            <span className="soft">
              {isEntry(incident, finding) ? t("incident.entry") : visible(text(finding.title))} ·{" "}
              <When atMs={finding.at_ms} seconds hint={false} />
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

// The file that a press on "download" gives; made here, so that nothing leaves the page.
function download(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

export function RawSection({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const text = useMemo(() => JSON.stringify(incident, null, 2), [incident]);
  return (
    <Collapse className="raw">
      <Collapse.Panel
        value="raw"
        header={t("incident.raw")}
        headerRightContent={
          <span className="raw-acts">
            <CopyButton text={text} what="JSON" withText />
            <Button
              size="small"
              variant="outline"
              icon={<DownloadIcon />}
              onClick={() => download(`incident-${incident.uid.replace(/[^\w.-]/g, "_")}.json`, text)}
            >
              {t("app.download")}
            </Button>
          </span>
        }
      >
        <pre tabIndex={0}>{text}</pre>
      </Collapse.Panel>
    </Collapse>
  );
}
