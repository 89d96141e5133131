// Values for unit tests: small, but whole.
import type { Detection, Evidence, Group, Incident, Overview, Process } from "./api/types";

export const NOW = Date.UTC(2026, 2, 14, 12, 0, 0);

export function overview(change: Partial<Overview> = {}): Overview {
  return {
    now_ms: NOW,
    host: {
      name: "web-01",
      machine_id: "",
      boot_id: "",
      kernel: "6.1",
      os: "Debian 12",
      cpus: 8,
      cpu_model: "",
      sensor: "bpf",
      blind: [],
    },
    load: {
      at_ms: NOW,
      cpu_percent: 5,
      cpus: 8,
      mode: "observe",
      agent_rss_kib: 20_000,
      agent_cpu_percent: 0.1,
      counts: [],
    },
    series: [],
    mining_now: {
      processes: 0,
      incidents: 0,
      probability_max: 0,
      hash_rate_hs: null,
      cost_per_day: 0,
      cpu_share_percent: 0,
      since_ms: null,
    },
    intrusion_now: { incidents: 0, worst: null, since_ms: null, last_step_ms: null },
    totals: { open: 0, contained: 0, closed: 0, detections_24h: 0 },
    counts: [],
    blind: [],
    price: { per_cpu_hour: 0.05, currency: "USD" },
    version: "0.1.0",
    queue_lost: 0,
    ...change,
  };
}

export const evidence = (group: Group, weight: number): Evidence => ({
  rule: `mining.${group}`,
  group,
  weight,
  text: { en: "seen", zh: "看到" },
  at_ms: NOW,
});

export const process = (pid: number, parent_pid: number, start_ticks = pid): Process => ({
  key: { pid, start_ticks },
  parent_pid,
  uid: 0,
  exe: `/bin/p${pid}`,
  comm: `p${pid}`,
  argv: [`p${pid}`, "--run"],
  started_ms: NOW,
});

const noMining = { probability: 0, kind: "cpu" as const, estimated: false, cpu_seconds: 0, cost: 0, pids: [] };

export const step = (uid: string, change: Partial<Detection> = {}): Detection => ({
  uid,
  rule: `rule.${uid}`,
  at_ms: NOW,
  severity: "high",
  confidence: 90,
  title: { en: uid, zh: uid },
  why: { en: "seen", zh: "看到" },
  advice: { en: "mend it", zh: "修复" },
  attacks: [],
  subject: null,
  parent: null,
  remote: null,
  evidence: [evidence("behaviour", 0)],
  mining: noMining,
  ...change,
});

export const incident = (change: Partial<Incident> = {}): Incident => ({
  uid: "inc-1",
  since_ms: NOW,
  opened_ms: NOW,
  changed_ms: NOW,
  state: "open",
  severity: "high",
  title: { en: "it", zh: "它" },
  root: process(10, 1),
  processes: [process(10, 1).key],
  mining: noMining,
  evidence: [],
  findings: [],
  folded: 0,
  outcomes: [],
  story: { is_mining: false, is_intrusion: true, stages: [], entry: null, source: null },
  ...change,
});
