// How well we see: sensor, mode, losses, and what this machine does not show, each with its remedy.
import { useTranslation } from "react-i18next";
import { Alert } from "tdesign-react/es/alert";
import { BaseTable as Table } from "tdesign-react/es/table";
import type { Overview } from "../api/types";
import { bytes, number, visible } from "../format";
import { useText } from "../i18n";
import { useLang } from "../settings";
import { isAlarm, lostRecords } from "../verdict";
import { type Fact, Facts } from "./facts";
import { useSensor } from "./signs";
import { Section } from "./notices";

const KNOWN_BLIND = ["exec", "fork", "exit", "connect", "accept", "bytes", "rounding", "maps", "msr", "gpu", "pids", "settings", "files", "package-owners", "gpu (nvidia)"] as const;
type KnownBlind = (typeof KNOWN_BLIND)[number];
const isKnown = (what: string): what is KnownBlind => (KNOWN_BLIND as readonly string[]).includes(what);

export function BlindSpots({ blind }: { blind: Overview["blind"] }) {
  const { t } = useTranslation();
  const text = useText();
  if (blind.length === 0) return null;
  return (
    <div id="blind">
    <Alert
      theme="warning"
      className="blind"
      title={t("blind.title", { count: blind.length })}
      message={
        <ul>
          {blind.map((spot) => (
            <li key={`${spot.what} ${spot.why.en}`}>
              <b>{isKnown(spot.what) ? t(`blind.${spot.what}`) : t("blind.other", { what: visible(spot.what) })}</b>
              <span>{visible(text(spot.why))}</span>
            </li>
          ))}
        </ul>
      }
    />
    </div>
  );
}

function useFacts(overview: Overview): (Fact | false)[] {
  const { t } = useTranslation();
  const lang = useLang();
  const { host, load } = overview;
  const isNamed = host.name !== "";
  const made = overview.counts.reduce((sum, count) => sum + count.made, 0);
  const lost = lostRecords(overview);
  const lostWords = { lost: number(lang, lost), made: number(lang, made) };
  const sensor = useSensor(host.sensor);
  return [
    isNamed && {
      label: t("health.sensor"),
      value: sensor,
    },
    load != null && {
      label: t("health.mode"),
      value: (
        <>
          {t(`mode.${load.mode}`)} <span className="soft">{t(`mode.${load.mode}Hint`)}</span>
        </>
      ),
    },
    {
      label: t("health.lost"),
      value: (
        <span className={lost > 0 ? "bad" : undefined} title={t("health.lostHint")}>
          {lost > 0 ? t("health.lostSome", lostWords) : t("health.lostNone", lostWords)}
        </span>
      ),
    },
    load != null && {
      label: t("health.agent"),
      value: t("health.agentUse", {
        memory: bytes(lang, load.agent_rss_kib),
        cpu: lang === "zh" ? `${number(lang, load.agent_cpu_percent, 1)}%` : `${number(lang, load.agent_cpu_percent, 1)} %`,
      }),
    },
    isNamed && {
      label: t("health.machine"),
      value: `${host.os} · ${host.kernel} · ${t("health.cpus", { count: host.cpus })}${host.cpu_model === "" ? "" : ` · ${host.cpu_model}`}`,
      wide: true,
    },
  ];
}

export function Health({ overview }: { overview: Overview }) {
  const { t } = useTranslation();
  const lang = useLang();
  const facts = useFacts(overview);
  // Who is told of a miner or an intruder needs that first; else what cannot be seen stands right under the sentence.
  const isAlarming = isAlarm(overview);
  const cell = (name: "made" | "seen" | "lost") => ({
    colKey: name,
    title: name === "lost" ? t("health.lostShort") : t(`health.${name}`),
    align: "right" as const,
    cell: ({ row }: { row: Overview["counts"][number] }) => (
      <span className={name === "lost" && row.lost > 0 ? "bad" : undefined}>{number(lang, row[name])}</span>
    ),
  });
  return (
    <Section title={t("health.title")} aside={<span className="soft">Minesweep {overview.version}</span>} className="health">
      <Facts facts={facts} />
      {isAlarming && <BlindSpots blind={overview.blind} />}
      {overview.queue_lost > 0 && (
        <Alert theme="warning" message={t("health.queueLost", { count: overview.queue_lost })} />
      )}
      {overview.counts.length > 0 && (
        <details>
          <summary>{t("health.byHook")}</summary>
          <Table
            size="small"
            rowKey="hook"
            data={overview.counts}
            columns={[{ colKey: "hook", title: t("health.hook") }, cell("made"), cell("seen"), cell("lost")]}
          />
        </details>
      )}
    </Section>
  );
}

