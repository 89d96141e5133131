// The sentence at the top: does this machine mine, how sure, since when, what does it cost; else, did somebody break in.
import { Fragment } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import ErrorTriangleFilledIcon from "tdesign-icons-react/esm/components/error-triangle-filled";
import HelpCircleFilledIcon from "tdesign-icons-react/esm/components/help-circle-filled";
import SecuredIcon from "tdesign-icons-react/esm/components/secured";
import TimeIcon from "tdesign-icons-react/esm/components/time";
import { useNow } from "../api/clock";
import type { Overview } from "../api/types";
import { ago, clock, duration, hashRate, money, percent, visible } from "../format";
import { useLang } from "../settings";
import { isUnderWay, type Verdict, verdict } from "../verdict";
import { Signs } from "./signs";

const ICON = {
  waiting: <TimeIcon />,
  silent: <HelpCircleFilledIcon />,
  none: <SecuredIcon />,
  mining: <ErrorTriangleFilledIcon />,
  intrusion: <ErrorTriangleFilledIcon />,
};

function useSentence(overview: Overview, found: Verdict, nowMs: number): { parts: string[]; below: string[] } {
  const { t } = useTranslation();
  const lang = useLang();
  const now = overview.mining_now;
  const host = visible(overview.host.name);
  const mining = t("verdict.mining", { count: now.processes, host });
  const entered = overview.intrusion_now;
  const intrusion = t(isUnderWay(overview, nowMs) ? "verdict.intrusion" : "verdict.intrusionSeen", {
    count: entered.incidents,
    host,
  });
  switch (found.kind) {
    case "waiting":
      return { parts: [t("verdict.waiting")], below: [t("verdict.waitingHint")] };
    case "silent": {
      const sentences = { mining, intrusion, none: t("verdict.none", { host }) };
      const sentence = sentences[found.was];
      return {
        parts: [t("verdict.silent", { host, time: duration(lang, found.forMs) })],
        below: [t("verdict.silentHint", { sentence })],
      };
    }
    case "none": {
      const contained = found.contained > 0 ? [t("verdict.contained", { count: found.contained })] : [];
      return { parts: [t("verdict.none", { host })], below: [...contained, t(`verdict.${found.note}`)] };
    }
    case "mining": {
      const since = now.since_ms ?? nowMs;
      const share = percent(lang, now.cpu_share_percent / 100);
      return {
        parts: [
          mining,
          t("verdict.sure", { percent: percent(lang, now.probability_max) }),
          t("verdict.since", { time: clock(lang, since, nowMs) }),
          t("verdict.costs", { money: money(lang, now.cost_per_day, overview.price.currency) }),
        ],
        below: [
          now.hash_rate_hs != null && now.hash_rate_hs > 0
            ? t("verdict.share", { percent: share, rate: hashRate(lang, now.hash_rate_hs) })
            : t("verdict.shareOnly", { percent: share }),
          ago(lang, since, nowMs),
          ...(entered.incidents > 0 ? [t("verdict.besides", { count: entered.incidents })] : []),
        ],
      };
    }
    case "intrusion": {
      const { worst, since_ms, last_step_ms } = entered;
      return {
        parts: [
          intrusion,
          ...(since_ms != null ? [t("verdict.since", { time: clock(lang, since_ms, nowMs) })] : []),
        ],
        below: [
          ...(worst != null ? [t("verdict.worst", { severity: t(`severity.${worst}`) })] : []),
          ...(last_step_ms != null ? [t("verdict.lastStep", { ago: ago(lang, last_step_ms, nowMs) })] : []),
          t("verdict.noMining"),
        ],
      };
    }
  }
}

// `first` is the newest open incident of what the sentence is about.
export function VerdictBand({ overview, first }: { overview: Overview; first: string | undefined }) {
  const { t } = useTranslation();
  const now = useNow();
  const found = verdict(overview, now);
  const { parts, below } = useSentence(overview, found, now);
  const about = overview.mining_now.incidents > 0 ? "mining" : "intrusion";
  const count = overview[`${about}_now`].incidents;
  return (
    <section className={`band band-${found.kind}`} aria-live="polite">
      <span className="band-icon" aria-hidden="true">
        {ICON[found.kind]}
      </span>
      <div className="band-words">
        <h1>
          {parts.map((part, index) => (
            <Fragment key={part}>
              <span className={index === 0 ? "band-main" : "band-more"}>
                {part}
                {index < parts.length - 1 && <span className="band-dash"> –</span>}
              </span>{" "}
            </Fragment>
          ))}
        </h1>
        <p>{below.join(" · ")}</p>
        <Signs overview={overview} />
      </div>
      {count > 0 && first !== undefined && (
        <Link
          className="t-button t-button--theme-primary t-button--variant-base t-size-l band-act"
          to={count === 1 ? `/incidents/${encodeURIComponent(first)}` : `/incidents?state=open&about=${about}`}
        >
          {count === 1 ? t("verdict.look") : t("verdict.lookAll", { count })}
        </Link>
      )}
    </section>
  );
}
