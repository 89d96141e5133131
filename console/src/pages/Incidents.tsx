// All incidents, newest first. What is asked for stands in the address, so that a view can be sent to someone.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "react-router";
import SearchIcon from "tdesign-icons-react/esm/components/search";
import SecuredIcon from "tdesign-icons-react/esm/components/secured";
import { Button } from "tdesign-react/es/button";
import { Input } from "tdesign-react/es/input";
import { Radio } from "tdesign-react/es/radio";
import { BaseTable as Table } from "tdesign-react/es/table";
import type { AboutFilter, StateFilter } from "../api/client";
import { incidentsQuery, overviewQuery, type Wanted } from "../api/queries";
import type { IncidentSummary, Overview } from "../api/types";
import { cpuTime, visible } from "../format";
import { useText } from "../i18n";
import { Cost, Unknown } from "../parts/facts";
import { useWide } from "../parts/media";
import { Failed, Nothing, Section, Waiting } from "../parts/notices";
import { AboutTags, SeverityTag, Share, StateTag } from "../parts/tags";
import { useTitle } from "../parts/title";
import { When } from "../parts/when";
import { LongWord, Word } from "../parts/words";
import { useLang } from "../settings";

const STATES: StateFilter[] = ["all", "open", "contained", "closed"];
const ABOUT: AboutFilter[] = ["all", "mining", "intrusion"];
// Typing is not asked about letter by letter.
const TYPING_MS = 250;

const NOTHING_WANTED: Wanted = { state: "all", about: "all", q: "" };

function wantedOf(params: URLSearchParams): Wanted {
  const [state, about] = [params.get("state"), params.get("about")];
  return {
    state: STATES.find((each) => each === state) ?? "all",
    about: ABOUT.find((each) => each === about) ?? "all",
    q: params.get("q") ?? "",
  };
}

function Title({ incident }: { incident: IncidentSummary }) {
  const text = useText();
  return (
    <span className="incident-title">
      <Link className="incident-link" to={`/incidents/${encodeURIComponent(incident.uid)}`}>
        {visible(text(incident.title))}
      </Link>
      <AboutTags isMining={incident.is_mining} isIntrusion={incident.is_intrusion} />
    </span>
  );
}

// The probability of mining says nothing of an intrusion without it.
function Mines({ incident }: { incident: IncidentSummary }) {
  const { t } = useTranslation();
  if (!incident.is_mining) return null;
  return <Share share={incident.probability} label={t("field.probability")} tone={incident.state === "open" ? "danger" : "brand"} />;
}

function Where({ incident }: { incident: IncidentSummary }) {
  const { t } = useTranslation();
  const { source, pool, wallet } = incident;
  if (source == null && pool == null && wallet == null) return <Unknown />;
  return (
    <span className="where">
      {source != null && (
        <span>
          <span className="soft">{t("incidents.from")}</span> <Word text={source} />
        </span>
      )}
      {pool != null && (
        <span>
          {source != null && <span className="soft">{t("incidents.to")} </span>}
          <Word text={pool} />
        </span>
      )}
      {wallet != null && <LongWord text={wallet} what={t("field.wallet")} keep={6} />}
    </span>
  );
}

function AsTable({ rows, price }: { rows: IncidentSummary[]; price: Overview["price"] | undefined }) {
  const { t } = useTranslation();
  const lang = useLang();
  return (
    <Table
      rowKey="uid"
      data={rows}
      verticalAlign="top"
      tableLayout="fixed"
      columns={[
        {
          colKey: "state",
          title: t("field.state"),
          width: 136,
          cell: ({ row }) => (
            <span className="tag-column">
              <StateTag state={row.state} isMining={row.is_mining} />
              <SeverityTag severity={row.severity} />
            </span>
          ),
        },
        { colKey: "title", title: t("field.title"), cell: ({ row }) => <Title incident={row} /> },
        {
          colKey: "probability",
          title: t("field.probability"),
          width: 150,
          cell: ({ row }) => <Mines incident={row} />,
        },
        { colKey: "pool", title: t("field.where"), width: "22%", cell: ({ row }) => <Where incident={row} /> },
        { colKey: "since_ms", title: t("field.since"), width: 150, cell: ({ row }) => <When atMs={row.since_ms} /> },
        {
          colKey: "cost",
          title: t("field.cost"),
          width: 130,
          align: "right",
          cell: ({ row }) => row.is_mining && (
            <span className="cost">
              <Cost amount={row.cost} price={price} />
              <span className="soft">{cpuTime(lang, row.cpu_seconds)}</span>
            </span>
          ),
        },
      ]}
    />
  );
}

function AsList({ rows, price }: { rows: IncidentSummary[]; price: Overview["price"] | undefined }) {
  const { t } = useTranslation();
  return (
    <ul className="row-list">
      {rows.map((row) => (
        <li key={row.uid}>
          <div className="row-head">
            <span className="with-tag">
              <StateTag state={row.state} isMining={row.is_mining} />
              <SeverityTag severity={row.severity} />
            </span>
            <When atMs={row.since_ms} />
          </div>
          <Title incident={row} />
          <Mines incident={row} />
          <Where incident={row} />
          {row.is_mining && (
            <span className="soft">
              {t("field.cost")}: <Cost amount={row.cost} price={price} />
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}

export default function Incidents() {
  const { t } = useTranslation();
  useTitle(t("incidents.title"));
  const isWide = useWide();
  const [params, setParams] = useSearchParams();
  const wanted = useMemo(() => wantedOf(params), [params]);
  const search = wanted.q;
  const [typed, setTyped] = useState(search);
  // The search that this page itself asked for; another one came by a link or the back button. The address follows
  // later, so only its change is looked at: else what is typed meanwhile would be lost.
  const [asked, setAsked] = useState(search);
  const [shown, setShown] = useState(search);
  if (shown !== search) {
    setShown(search);
    if (asked !== search) {
      setAsked(search);
      setTyped(search);
    }
  }
  const list = useInfiniteQuery({ ...incidentsQuery(wanted), placeholderData: (old) => old });
  const price = useQuery(overviewQuery).data?.price;
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data]);

  const show = useCallback(
    (next: Wanted) => {
      const address = new URLSearchParams();
      if (next.state !== "all") address.set("state", next.state);
      if (next.about !== "all") address.set("about", next.about);
      if (next.q !== "") address.set("q", next.q);
      setAsked(next.q);
      setParams(address, { replace: true });
    },
    [setAsked, setParams],
  );
  useEffect(() => {
    if (typed === search) return;
    const timer = setTimeout(() => show({ ...wanted, q: typed }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, search, wanted, show]);

  const isFiltered = wanted.state !== "all" || wanted.about !== "all" || search !== "";
  const clear = () => {
    setTyped("");
    show(NOTHING_WANTED);
  };
  return (
    <div className="page">
      <h1>{t("incidents.title")}</h1>
      <div className="filters">
        <Radio.Group
          variant="default-filled"
          value={wanted.state}
          onChange={(state) => show({ ...wanted, state })}
          aria-label={t("incidents.filter")}
        >
          {STATES.map((each) => (
            <Radio.Button key={each} value={each}>
              {t(`state.${each}`)}
            </Radio.Button>
          ))}
        </Radio.Group>
        <Radio.Group
          variant="default-filled"
          value={wanted.about}
          onChange={(about) => show({ ...wanted, about })}
          aria-label={t("incidents.aboutFilter")}
        >
          {ABOUT.map((each) => (
            <Radio.Button key={each} value={each}>
              {t(each === "all" ? "about.both" : `about.${each}`)}
            </Radio.Button>
          ))}
        </Radio.Group>
        <label className="search">
          <span className="for-readers">{t("incidents.searchLabel")}</span>
          <Input
            type="search"
            clearable
            value={typed}
            prefixIcon={<SearchIcon />}
            placeholder={t("incidents.search")}
            onChange={(value) => setTyped(value)}
          />
        </label>
      </div>
      <Section title={list.data === undefined ? "…" : t("incidents.shown", { count: rows.length })}>
        {list.error !== null && <Failed error={list.error} again={() => void list.refetch()} />}
        {list.data === undefined && list.error === null && <Waiting rows={6} />}
        {list.data !== undefined &&
          (rows.length > 0 ? (
            isWide ? (
              <AsTable rows={rows} price={price} />
            ) : (
              <AsList rows={rows} price={price} />
            )
          ) : isFiltered ? (
            <Nothing
              icon={<SearchIcon />}
              title={t("incidents.noMatch")}
              hint={t("incidents.noMatchHint")}
              action={<Button onClick={clear}>{t("incidents.clear")}</Button>}
            />
          ) : (
            <Nothing icon={<SecuredIcon />} title={t("incidents.none")} hint={t("incidents.noneHint")} />
          ))}
        {list.hasNextPage && (
          <Button className="more" variant="outline" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t("app.more")}
          </Button>
        )}
      </Section>
    </div>
  );
}
