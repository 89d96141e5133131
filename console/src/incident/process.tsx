// Who runs it: the process at the root with its parent and its company.
import { type ReactNode, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Tag } from "tdesign-react/es/tag";
import { Tree } from "tdesign-react/es/tree";
import type { Incident, Process } from "../api/types";
import { type Fact, Facts, InContainer, Unknown, User } from "../parts/facts";
import { Section } from "../parts/notices";
import { When } from "../parts/when";
import { CopyButton, Word } from "../parts/words";

interface Node {
  value: string;
  label: ReactNode;
  children?: Node[];
}

// Everything that the findings know of processes, by pid and start: the incident lists the others only by key.
function knownProcesses(incident: Incident): Map<string, Process> {
  const known = new Map<string, Process>();
  const name = (process: Process) => `${process.key.pid}/${process.key.start_ticks}`;
  for (const finding of incident.findings) {
    for (const process of [finding.parent, finding.subject]) if (process != null) known.set(name(process), process);
  }
  for (const outcome of incident.outcomes) known.set(name(outcome.target), outcome.target);
  known.set(name(incident.root), incident.root);
  return known;
}

function ProcessLine({ process, note }: { process: Process; note?: string }) {
  const { t } = useTranslation();
  return (
    <span className="tree-line">
      <b>{process.key.pid}</b>
      <Word text={process.exe === "" ? process.comm : process.exe} />
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
    const known = knownProcesses(incident);
    const { root } = incident;
    const members = incident.processes.filter(
      ({ pid, start_ticks }) => pid !== root.key.pid || start_ticks !== root.key.start_ticks,
    );
    const rootNode: Node = {
      value: "root",
      label: <ProcessLine process={root} note={t("incident.subject")} />,
      children: members.map((key) => {
        const process = known.get(`${key.pid}/${key.start_ticks}`);
        return {
          value: `${key.pid}/${key.start_ticks}`,
          label:
            process === undefined ? (
              <span className="tree-line">
                <b>{key.pid}</b> <span className="soft">{t("incident.memberUnknown")}</span>
              </span>
            ) : (
              <ProcessLine process={process} />
            ),
        };
      }),
    };
    if (root.parent_pid === 0) return [rootNode];
    const parent = [...known.values()].find((process) => process.key.pid === root.parent_pid);
    return [
      {
        value: "parent",
        label:
          parent === undefined ? (
            <span className="tree-line soft">{t("incident.parentUnknown", { pid: root.parent_pid })}</span>
          ) : (
            <ProcessLine process={parent} />
          ),
        children: [rootNode],
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
    { label: t("field.process"), value: <Word text={root.exe === "" ? root.comm : root.exe} />, wide: true },
    {
      label: t("field.origin"),
      value: <span className={origin === "disk" || origin === "kernel" ? undefined : "bad"}>{t(`origin.${origin}`)}</span>,
    },
    { label: t("field.cwd"), value: root.cwd == null || root.cwd === "" ? <Unknown /> : <Word text={root.cwd} /> },
    { label: t("field.user"), value: <User uid={root.uid} /> },
    { label: t("field.container"), value: <InContainer container={root.container} />, wide: root.container != null },
    root.inner_pid != null && { label: t("field.innerPid"), value: root.inner_pid },
    { label: t("field.started"), value: <When atMs={root.started_ms} /> },
    (root.threads ?? 0) > 0 && { label: t("field.threads"), value: root.threads },
    root.is_hidden === true && { label: t("field.hidden"), value: <span className="bad">{t("field.yes")}</span> },
  ];
}

export function ProcessSection({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const tree = useTree(incident);
  return (
    <Section title={t("incident.process")}>
      <Facts facts={useFacts(incident.root)} />
      <h3 className="sub">{t("incident.tree")}</h3>
      <Tree data={tree} expandAll line hover={false} aria-label={t("incident.tree")} />
    </Section>
  );
}
