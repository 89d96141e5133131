// Who runs it: the process at the root with its parent, and what takes part below it.
import { type ReactNode, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Tag } from "tdesign-react/es/tag";
import { Tree } from "tdesign-react/es/tree";
import type { Incident, Process } from "../api/types";
import { type Fact, Facts, InContainer, ProcessWord, Unknown, User } from "../parts/facts";
import { Section } from "../parts/notices";
import { When } from "../parts/when";
import { CopyButton, Word } from "../parts/words";
import { type Branch, processTree } from "../story";

interface Node {
  value: string;
  label: ReactNode;
  children?: Node[];
}

function ProcessLine({ process, note }: { process: Process; note?: string }) {
  const { t } = useTranslation();
  return (
    <span className="tree-line">
      <b>{process.key.pid}</b>
      <ProcessWord exe={process.exe} comm={process.comm} />
      {note !== undefined && (
        <Tag size="small" theme="danger" variant="light-outline" className="tag">
          {note}
        </Tag>
      )}
      {process.uid === 0 && <span className="soft">{t("field.rootUser")}</span>}
    </span>
  );
}

function useTree(incident: Incident): Node[] {
  const { t } = useTranslation();
  return useMemo(() => {
    const { root, parent } = processTree(incident);
    const nodeOf = (branch: Branch): Node => ({
      value: `${branch.key.pid}/${branch.key.start_ticks}`,
      label:
        branch.process === undefined ? (
          <span className="tree-line">
            <b>{branch.key.pid}</b> <span className="soft">{t("incident.memberUnknown")}</span>
          </span>
        ) : (
          <ProcessLine process={branch.process} note={branch === root ? t("incident.subject") : undefined} />
        ),
      children: branch.children.map(nodeOf),
    });
    const parentPid = incident.root.parent_pid;
    if (parentPid === 0) return [nodeOf(root)];
    return [
      {
        value: "parent",
        label:
          parent === undefined ? (
            <span className="tree-line soft">{t("incident.parentUnknown", { pid: parentPid })}</span>
          ) : (
            <ProcessLine process={parent} />
          ),
        children: [nodeOf(root)],
      },
    ];
  }, [incident, t]);
}

function useFacts(root: Process): (Fact | false)[] {
  const { t } = useTranslation();
  const command = root.argv.join(" ");
  const origin = root.origin ?? "disk";
  return [
    {
      label: t("field.command"),
      wide: true,
      value: (
        <span className="command">
          {command === "" ? <Unknown /> : <Word text={command} />}
          {command !== "" && <CopyButton text={command} what={t("field.command")} />}
        </span>
      ),
    },
    { label: t("field.process"), value: <ProcessWord exe={root.exe} comm={root.comm} />, wide: true },
    {
      label: t("field.origin"),
      value: <span className={origin === "disk" || origin === "kernel" ? undefined : "bad"}>{t(`origin.${origin}`)}</span>,
    },
    { label: t("field.cwd"), value: root.cwd == null || root.cwd === "" ? <Unknown /> : <Word text={root.cwd} /> },
    { label: t("field.user"), value: <User uid={root.uid} /> },
    { label: t("field.container"), value: <InContainer container={root.container} />, wide: root.container != null },
    root.inner_pid != null && { label: t("field.innerPid"), value: root.inner_pid },
    root.started_ms > 0 && { label: t("field.started"), value: <When atMs={root.started_ms} /> },
    (root.threads ?? 0) > 0 && { label: t("field.threads"), value: root.threads },
    root.is_hidden === true && { label: t("field.hidden"), value: <span className="bad">{t("field.yes")}</span> },
  ];
}

export function ProcessSection({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const tree = useTree(incident);
  return (
    <Section title={t(incident.story.is_intrusion ? "incident.processes" : "incident.process")}>
      <Facts facts={useFacts(incident.root)} />
      <h3 className="sub">{t("incident.tree")}</h3>
      <Tree data={tree} expandAll line hover={false} aria-label={t("incident.tree")} />
    </Section>
  );
}
