// Processor load of the last hour with a mark where an incident began. Loaded on its own: echarts is the largest
// part of the console and no sentence needs it.
import { LineChart } from "echarts/charts";
import { AriaComponent, GridComponent, MarkLineComponent, TooltipComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { useNow } from "../api/clock";
import type { Overview } from "../api/types";
import { clock, percent } from "../format";
import { useLang, useTheme } from "../settings";
import { marked, type Point, withGaps } from "./series";

echarts.use([LineChart, GridComponent, TooltipComponent, MarkLineComponent, AriaComponent, SVGRenderer]);

const HOUR_MS = 3_600_000;
const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export default function LoadChart({ series, marks }: { series: Overview["series"]; marks: number[] }) {
  const { t } = useTranslation();
  const lang = useLang();
  const theme = useTheme();
  const now = useNow();
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<echarts.ECharts>(null);

  useEffect(() => {
    if (box.current === null) return;
    const made = echarts.init(box.current);
    chart.current = made;
    const observer = new ResizeObserver(() => made.resize());
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, []);

  useEffect(() => {
    const text = token("--td-text-color-secondary");
    const line = token("--td-component-border");
    const brand = token("--td-brand-color");
    const danger = token("--td-error-color");
    const end = Math.max(now, series.at(-1)?.at_ms ?? 0);
    chart.current?.setOption({
      animation: false,
      textStyle: { fontFamily: token("--page-font") },
      grid: { left: 44, right: 28, top: 24, bottom: 26 },
      tooltip: {
        trigger: "axis",
        confine: true,
        backgroundColor: token("--td-bg-color-container"),
        borderColor: line,
        textStyle: { color: token("--td-text-color-primary"), fontSize: 13 },
        formatter: (hits: { value: Point }[]) => {
          const [at, busy] = hits[0]?.value ?? [0, null];
          if (busy === null) return "";
          return `${clock(lang, at, now, true)}<br>${t("chart.busy")} <b>${percent(lang, busy / 100)}</b>`;
        },
      },
      xAxis: {
        type: "time",
        min: end - HOUR_MS,
        max: end,
        splitNumber: 4,
        axisLine: { lineStyle: { color: line } },
        axisTick: { show: false },
        axisLabel: { color: text, hideOverlap: true, formatter: (at: number) => clock(lang, at, at) },
      },
      yAxis: {
        type: "value",
        min: 0,
        max: 100,
        interval: 25,
        axisLabel: { color: text, formatter: (value: number) => (lang === "zh" ? `${value}%` : `${value} %`) },
        splitLine: { lineStyle: { color: line, opacity: 0.6 } },
      },
      series: [
        {
          type: "line",
          showSymbol: false,
          data: withGaps(series),
          lineStyle: { color: brand, width: 2 },
          itemStyle: { color: brand },
          areaStyle: { color: brand, opacity: 0.12 },
          markLine: {
            silent: true,
            symbol: ["none", "triangle"],
            symbolSize: 8,
            lineStyle: { color: danger, width: 1.5, type: "dashed" },
            label: { color: danger, formatter: t("chart.began"), position: "end", distance: 2, fontSize: 12 },
            data: marked(marks.filter((at) => at >= end - HOUR_MS)).map(({ at, isNamed }) => ({ xAxis: at, label: { show: isNamed } })),
          },
        },
      ],
    });
  }, [series, marks, lang, theme, now, t]);

  const busy = series.map((point) => point.cpu_percent);
  const label = t("chart.label", {
    now: percent(lang, (busy.at(-1) ?? 0) / 100),
    max: percent(lang, busy.reduce((most, value) => Math.max(most, value), 0) / 100),
    incidents: marks.length,
  });
  return <div ref={box} className="chart" role="img" aria-label={label} />;
}
