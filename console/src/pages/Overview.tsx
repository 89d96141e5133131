// The first page: one sentence that says whether this machine mines or somebody broke in, then what it rests on.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import SecuredIcon from "tdesign-icons-react/esm/components/secured";
import { Statistic } from "tdesign-react/es/statistic";
import { incidentsQuery, overviewQuery } from "../api/queries";
import type { IncidentSummary, Overview as OverviewData } from "../api/types";
import { Detections } from "../parts/detections";
import { BlindSpots, Health } from "../parts/health";
import { IntrusionCard } from "../parts/intrusion-card";
import { MiningCard } from "../parts/mining-card";
import { Failed, Nothing, Section, Waiting } from "../parts/notices";
import { useTitle } from "../parts/title";
import { VerdictBand } from "../parts/verdict-band";
import { isAlarm } from "../verdict";

const LoadChart = lazy(() => import("../parts/load-chart"));

// More cards than this are no overview; the rest is one press away.
const CARDS = 4;

function MiningNow({ incidents, overview }: { incidents: IncidentSummary[]; overview: OverviewData }) {
  const { t } = useTranslation();
  return (
    <Section title={t("now.title")} className="now">
      {incidents.length === 0 ? (
        <Nothing icon={<SecuredIcon />} title={t("now.none")} hint={t("now.noneHint")} />
      ) : (
        <div className="mining-cards">
          {incidents.slice(0, CARDS).map((incident) => (
            <MiningCard key={incident.uid} incident={incident} price={overview.price} />
          ))}
          {incidents.length > CARDS && (
            <Link to="/incidents?state=open&about=mining">{t("now.all", { count: overview.mining_now.incidents })}</Link>
          )}
        </div>
      )}
    </Section>
  );
}

function Intrusions({ incidents, overview }: { incidents: IncidentSummary[]; overview: OverviewData }) {
  const { t } = useTranslation();
  return (
    <Section title={t("intrusions.title")} className="now">
      <div className="mining-cards">
        {incidents.slice(0, CARDS).map((incident) => (
          <IntrusionCard key={incident.uid} incident={incident} />
        ))}
        {incidents.length > CARDS && (
          <Link to="/incidents?state=open&about=intrusion">
            {t("intrusions.all", { count: overview.intrusion_now.incidents })}
          </Link>
        )}
      </div>
    </Section>
  );
}

function Totals({ totals }: { totals: OverviewData["totals"] }) {
  const { t } = useTranslation();
  const counts = [
    { name: "open", to: "/incidents?state=open", value: totals.open },
    { name: "contained", to: "/incidents?state=contained", value: totals.contained },
    { name: "closed", to: "/incidents?state=closed", value: totals.closed },
    { name: "detections", to: "#detections", value: totals.detections_24h },
  ] as const;
  return (
    <Section title={t("totals.title")} className="totals">
      <div className="total-grid">
        {counts.map(({ name, to, value }) => (
          <Link key={name} to={to} className="total">
            <Statistic title={t(`totals.${name}`)} value={value} />
          </Link>
        ))}
      </div>
    </Section>
  );
}

function LoadSection({ overview, incidents }: { overview: OverviewData; incidents: IncidentSummary[] }) {
  const { t } = useTranslation();
  const marks = useMemo(() => incidents.map((incident) => incident.opened_ms), [incidents]);
  return (
    <Section title={t("chart.title")} className="load">
      {overview.series.length === 0 ? (
        <p className="soft">{t("chart.none")}</p>
      ) : (
        <Suspense fallback={<div className="chart" />}>
          <LoadChart series={overview.series} marks={marks} />
        </Suspense>
      )}
    </Section>
  );
}

// The open incidents of one kind, the newest page of them.
function useOpen(about: "mining" | "intrusion") {
  const list = useInfiniteQuery(incidentsQuery({ state: "open", about, q: "" }));
  const items = useMemo(() => {
    const all = list.data?.pages.flatMap((page) => page.items) ?? [];
    // What mines by now stands with the miners.
    return about === "mining" ? all : all.filter((incident) => !incident.is_mining);
  }, [list.data, about]);
  return { list, items };
}

export function Overview() {
  const overview = useQuery(overviewQuery);
  const alarms = (overview.data?.mining_now.processes ?? 0) || (overview.data?.intrusion_now.incidents ?? 0);
  // The tab itself says that something is wrong.
  useTitle(`${alarms > 0 ? `(${alarms}) ` : ""}${overview.data?.host.name ?? ""}`);
  const mining = useOpen("mining");
  const intrusions = useOpen("intrusion");
  const all = useInfiniteQuery(incidentsQuery({ state: "all", about: "all", q: "" }));
  const allItems = useMemo(() => all.data?.pages.flatMap((page) => page.items) ?? [], [all.data]);

  if (overview.data === undefined) {
    return overview.error === null ? (
      <Waiting rows={8} />
    ) : (
      <Failed error={overview.error} again={() => void overview.refetch()} />
    );
  }
  const isMining = overview.data.mining_now.incidents > 0;
  const isEntered = intrusions.items.length > 0;
  const failed = [mining.list, intrusions.list].find((list) => list.error !== null);
  const now = [
    failed?.error != null && <Failed key="failed" error={failed.error} again={() => void failed.refetch()} />,
    failed === undefined && (isMining || !isEntered) && (
      <MiningNow key="mining" incidents={mining.items} overview={overview.data} />
    ),
    isEntered && <Intrusions key="intrusions" incidents={intrusions.items} overview={overview.data} />,
  ].filter((part) => part !== false);
  return (
    <div className="page">
      <VerdictBand overview={overview.data} first={(isMining ? mining : intrusions).items[0]?.uid} />
      {overview.error !== null && <Failed error={overview.error} again={() => void overview.refetch()} />}
      {!isAlarm(overview.data) && <BlindSpots blind={overview.data.blind} />}
      {now.length > 1 && <div className="two-columns">{now}</div>}
      <div className="two-columns">
        {now.length === 1 && now}
        <div className={now.length === 1 ? "column" : "alike"}>
          <LoadSection overview={overview.data} incidents={allItems} />
          <Totals totals={overview.data.totals} />
        </div>
      </div>
      <Detections />
      <Health overview={overview.data} />
    </div>
  );
}
