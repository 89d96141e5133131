// The rules that matched, newest first.
import { useInfiniteQuery } from "@tanstack/react-query";
import { type ReactElement, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import SecuredIcon from "tdesign-icons-react/esm/components/secured";
import { Button } from "tdesign-react/es/button";
import { Radio } from "tdesign-react/es/radio";
import { BaseTable as Table } from "tdesign-react/es/table";
import { detectionsQuery } from "../api/queries";
import type { Detection, Severity } from "../api/types";
import { visible } from "../format";
import { useText } from "../i18n";
import { ProcessWord } from "./facts";
import { useWide } from "./media";
import { Failed, Nothing, Section, Waiting } from "./notices";
import { SeverityTag } from "./tags";
import { When } from "./when";

const LEVELS: Severity[] = ["informational", "medium", "high", "critical"];

function Subject({ detection }: { detection: Detection }): ReactElement {
  const { t } = useTranslation();
  const { subject } = detection;
  if (subject == null) return <span className="soft">{t("detections.machine")}</span>;
  return (
    <span className="subject">
      <ProcessWord exe={subject.exe} comm={subject.comm} />
      <span className="soft">{subject.key.pid}</span>
    </span>
  );
}

function Rule({ detection }: { detection: Detection }): ReactElement {
  const text = useText();
  return (
    <span className="rule">
      <span>{visible(text(detection.title))}</span>
      <code className="soft">{visible(detection.rule)}</code>
    </span>
  );
}

function Why({ detection }: { detection: Detection }): ReactElement {
  const { t } = useTranslation();
  const text = useText();
  return (
    <span className="why">
      <span>{visible(text(detection.why))}</span>
      {detection.incident != null && (
        <Link to={`/incidents/${encodeURIComponent(detection.incident)}`}>{t("detections.toIncident")}</Link>
      )}
    </span>
  );
}

function AsTable({ rows }: { rows: Detection[] }) {
  const { t } = useTranslation();
  return (
    <Table
      rowKey="uid"
      data={rows}
      verticalAlign="top"
      tableLayout="fixed"
      columns={[
        { colKey: "severity", title: t("field.severity"), width: 132, cell: ({ row }) => <SeverityTag severity={row.severity} /> },
        { colKey: "at_ms", title: t("field.time"), width: 150, cell: ({ row }) => <When atMs={row.at_ms} seconds /> },
        { colKey: "rule", title: t("field.rule"), width: "22%", cell: ({ row }) => <Rule detection={row} /> },
        { colKey: "subject", title: t("field.process"), width: "22%", cell: ({ row }) => <Subject detection={row} /> },
        { colKey: "why", title: t("field.why"), cell: ({ row }) => <Why detection={row} /> },
      ]}
    />
  );
}

function AsList({ rows }: { rows: Detection[] }) {
  return (
    <ul className="row-list">
      {rows.map((row) => (
        <li key={row.uid}>
          <div className="row-head">
            <SeverityTag severity={row.severity} />
            <When atMs={row.at_ms} seconds />
          </div>
          <Rule detection={row} />
          <Subject detection={row} />
          <Why detection={row} />
        </li>
      ))}
    </ul>
  );
}

export function Detections() {
  const { t } = useTranslation();
  const isWide = useWide();
  const [minimum, setMinimum] = useState<Severity>("informational");
  const list = useInfiniteQuery({ ...detectionsQuery(minimum), placeholderData: (old) => old });
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data]);
  const filter = (
    <Radio.Group
      variant="default-filled"
      size={isWide ? "medium" : "small"}
      value={minimum}
      onChange={(value) => setMinimum(value)}
      aria-label={t("detections.filter")}
    >
      {LEVELS.map((level) => (
        <Radio.Button key={level} value={level}>
          {level === "informational" ? t("state.all") : level === "critical" ? t("severity.critical") : t(`severity.${level}`) + "+"}
        </Radio.Button>
      ))}
    </Radio.Group>
  );
  return (
    <Section title={t("detections.title")} aside={filter} className="detections">
      {list.error !== null && <Failed error={list.error} again={() => void list.refetch()} />}
      {list.data === undefined && list.error === null && <Waiting />}
      {list.data !== undefined &&
        (rows.length === 0 ? (
          <Nothing
            icon={<SecuredIcon />}
            title={t("detections.none")}
            hint={minimum === "informational" ? t("detections.noneHint") : t("detections.noneFiltered")}
          />
        ) : isWide ? (
          <AsTable rows={rows} />
        ) : (
          <AsList rows={rows} />
        ))}
      {list.hasNextPage && (
        <Button className="more" variant="outline" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          {t("app.more")}
        </Button>
      )}
    </Section>
  );
}
