// What is a step of an intrusion, and which process did it. Pure.
import type { Detection, Incident, Process } from "./api/types";

// A rule about behaviour gave it; the signs of mining beside it are no steps.
export const isStep = (finding: Detection): boolean => finding.evidence.some((piece) => piece.group === "behaviour");

// The step that is the way in, as the server names it.
export function isEntry(incident: Incident, finding: Detection): boolean {
  const { entry } = incident.story;
  return entry != null && entry.at_ms === finding.at_ms && (entry.remote ?? null) === (finding.remote ?? null);
}

// The command of a step, unless its reason already holds it or it is only the name of the program, which stands below.
export function commandOf(finding: Detection, why: string): string {
  const command = finding.subject?.argv.join(" ").trim() ?? "";
  return command.includes(" ") && !why.includes(command) ? command : "";
}

// What a rule advises, once each, with the finding that it is about.
export function adviceOf(incident: Incident, text: (finding: Detection) => string): { finding: Detection; advice: string }[] {
  const said = new Map<string, Detection>();
  for (const finding of incident.findings) {
    const advice = text(finding);
    if (advice !== "" && !said.has(advice)) said.set(advice, finding);
  }
  return [...said].map(([advice, finding]) => ({ finding, advice }));
}

// The addresses that findings name, once each, the first finding that names it beside it.
export function addressesOf(findings: Detection[]): { remote: string; finding: Detection }[] {
  const named = new Map<string, Detection>();
  for (const finding of findings) if (finding.remote != null && !named.has(finding.remote)) named.set(finding.remote, finding);
  return [...named].map(([remote, finding]) => ({ remote, finding }));
}

// One process name for a heading: what it runs, else what it calls itself, else its number.
export function processName({ exe, comm, pid }: { exe: string; comm: string; pid: number }): string {
  const base = exe.slice(exe.lastIndexOf("/") + 1);
  return base !== "" ? base : comm !== "" ? comm : String(pid);
}

export interface Branch {
  key: Process["key"];
  // Absent when only its number is known.
  process: Process | undefined;
  children: Branch[];
}

const nameOf = ({ pid, start_ticks }: Process["key"]) => `${pid}/${start_ticks}`;

// Everything that the findings know of processes, by pid and start: the incident lists the others only by key.
function knownProcesses(incident: Incident): Map<string, Process> {
  const known = new Map<string, Process>();
  const learn = (process: Process | null | undefined) => {
    if (process != null) known.set(nameOf(process.key), process);
  };
  for (const finding of incident.findings) {
    learn(finding.parent);
    learn(finding.subject);
  }
  for (const outcome of incident.outcomes) learn(outcome.target);
  learn(incident.root);
  return known;
}

// The processes of the incident, each under its parent where both are known, else under the root; the parent of the
// root, when it is known, stands above all.
export function processTree(incident: Incident): { root: Branch; parent: Process | undefined } {
  const known = knownProcesses(incident);
  const branchOf = (key: Process["key"]): Branch => ({ key, process: known.get(nameOf(key)), children: [] });
  const root = branchOf(incident.root.key);
  const members = incident.processes.filter((key) => nameOf(key) !== nameOf(root.key)).map(branchOf);
  for (const member of members) {
    const pid = member.process?.parent_pid;
    const started = (branch: Branch) => branch.key.start_ticks <= member.key.start_ticks;
    const above = members.find((other) => other !== member && other.key.pid === pid && started(other) && !isBelow(other, member));
    (above ?? root).children.push(member);
  }
  const parent = [...known.values()].find((process) => process.key.pid === incident.root.parent_pid);
  return { root, parent };
}

// Pids and parents come from processes that may lie: no branch may end up under itself.
function isBelow(branch: Branch, top: Branch): boolean {
  return branch === top || top.children.some((child) => isBelow(branch, child));
}
