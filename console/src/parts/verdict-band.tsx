// The sentence at the top: does this machine mine, how sure, since when, what does it cost.
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
import { type Verdict, verdict } from "../verdict";
import { Signs } from "./signs";

const ICON = {
  waiting: <TimeIcon />,
  silent: <HelpCircleFilledIcon />,
  none: <SecuredIcon />,
  mining: <ErrorTriangleFilledIcon />,
};

function useSentence(overview: Overview, found: Verdict, nowMs: number): { parts: string[]; below: string[] } {
  const { t } = useTranslation();
  const lang = useLang();
  const now = overview.mining_now;
  const host = visible(overview.host.name);
  const mining = t("verdict.mining", { count: now.processes, host });
  switch (found.kind) {
    case "waiting":
      return { parts: [t("verdict.waiting")], below: [t("verdict.waitingHint")] };
    case "silent": {
      const sentence = found.was === "mining" ? mining : t("verdict.none", { host });
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
        ],
      };
    }
  }
}

export function VerdictBand({ overview, first }: { overview: Overview; first: string | undefined }) {
  const { t } = useTranslation();
  const now = useNow();
  const found = verdict(overview, now);
  const { parts, below } = useSentence(overview, found, now);
  const count = overview.mining_now.incidents;
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
          to={count === 1 ? `/incidents/${encodeURIComponent(first)}` : "/incidents?state=open"}
        >
          {count === 1 ? t("verdict.look") : t("verdict.lookAll", { count })}
        </Link>
      )}
    </section>
  );
}
