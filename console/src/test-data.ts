// Values for unit tests: small, but whole.
import type { Evidence, Group, Overview } from "./api/types";

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
