// The first page: one sentence that says whether this machine mines, then what it rests on.
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
import { MiningCard } from "../parts/mining-card";
import { Failed, Nothing, Section, Waiting } from "../parts/notices";
import { useTitle } from "../parts/title";
import { VerdictBand } from "../parts/verdict-band";

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
            <Link to="/incidents?state=open">{t("now.all", { count: overview.mining_now.incidents })}</Link>
          )}
        </div>
      )}
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

export function Overview() {
  const overview = useQuery(overviewQuery);
  const mining = overview.data?.mining_now.processes ?? 0;
  // The tab itself says that something mines.
  useTitle(`${mining > 0 ? `(${mining}) ` : ""}${overview.data?.host.name ?? ""}`);
  const open = useInfiniteQuery(incidentsQuery("open", ""));
  const all = useInfiniteQuery(incidentsQuery("all", ""));
  const openItems = useMemo(() => open.data?.pages.flatMap((page) => page.items) ?? [], [open.data]);
  const allItems = useMemo(() => all.data?.pages.flatMap((page) => page.items) ?? [], [all.data]);

  if (overview.data === undefined) {
    return overview.error === null ? (
      <Waiting rows={8} />
    ) : (
      <Failed error={overview.error} again={() => void overview.refetch()} />
    );
  }
  return (
    <div className="page">
      <VerdictBand overview={overview.data} first={openItems[0]?.uid} />
      {overview.error !== null && <Failed error={overview.error} again={() => void overview.refetch()} />}
      {overview.data.mining_now.incidents === 0 && <BlindSpots blind={overview.data.blind} />}
      <div className="two-columns">
        {open.error === null ? (
          <MiningNow incidents={openItems} overview={overview.data} />
        ) : (
          <Failed error={open.error} again={() => void open.refetch()} />
        )}
        <div className="column">
          <LoadSection overview={overview.data} incidents={allItems} />
          <Totals totals={overview.data.totals} />
        </div>
      </div>
      <Detections />
      <Health overview={overview.data} />
    </div>
  );
}
