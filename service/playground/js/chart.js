/** A series with its forecast: the value over events, and a fan after the selected one. */

import { html, useEffect, useRef } from "../vendor/htm-preact.js";
import { readFan } from "./model.js";

const HEIGHT = 200;
const MOST_POINTS = 60;

export function Chart({ lane, selected, theme, onSelect }) {
  const { model, trace } = lane;
  const host = useRef(null);
  const now = useRef({});
  now.current = { ...now.current, selected, onSelect, count: trace.columns.length };
  useEffect(() => {
    const data = listSeries(model, trace.columns, selected);
    const plot = new globalThis.uPlot(describePlot(model, host.current.clientWidth, now), data, host.current);
    now.current.plot = plot;
    plot.over.addEventListener("click", () => pick(plot, now.current));
    const watch = new ResizeObserver(() => fit(plot, host.current.clientWidth));
    watch.observe(host.current);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [model, theme]);
  useEffect(() => {
    now.current.plot.setData(listSeries(model, trace.columns, selected));
  }, [model, theme, trace.columns, selected]);
  return html`<div class="chart" ref=${host} role="img" aria-label=${describe(model, trace.columns, selected)}></div>`;
}

function pick(plot, { onSelect, count }) {
  if (plot.cursor.idx !== null) onSelect(Math.min(plot.cursor.idx, count - 1));
}

function fit(plot, width) {
  if (width !== plot.width) plot.setSize({ width, height: HEIGHT });
}

function describe(model, columns, selected) {
  const values = columns[selected]?.values;
  if (!values) return `${model.field} over ${columns.length} rows`;
  const next = readFan(model, values).map(([, middle]) => Math.round(middle));
  return `${model.field} over ${columns.length} rows; forecast after row ${selected + 1}: ${next.join(", ")}`;
}

/** Columns for the chart: event numbers, values, then low, middle and high of the fan. */
export function listSeries(model, columns, selected) {
  const fan = columns[selected]?.values ? readFan(model, columns[selected].values) : [];
  const length = Math.max(columns.length, selected + 1 + fan.length);
  const at = (values) => Array.from({ length }, (_, k) => values(k) ?? null);
  const value = (k) => columns[k]?.event?.[model.field];
  const ahead = (part) => at((k) => (k === selected && fan.length ? value(k) : fan[k - selected - 1]?.[part]));
  return [at((k) => k + 1), at(value), ahead(0), ahead(1), ahead(2)];
}

function describePlot(model, width, now) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--dim"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui",
  };
  const fan = { stroke: colour("--fan-edge"), width: model.quantiles ? 1 : 0, points: { show: false } };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { setScale: false } },
    scales: { x: { time: false } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? tick : "")) },
      { ...axis, size: 56 },
    ],
    series: [
      {},
      {
        stroke: colour("--ink"),
        width: 1.5,
        points: { show: () => now.current.count < MOST_POINTS, size: 4, fill: colour("--panel") },
      },
      fan,
      { stroke: colour("--positive-ink"), width: 2, points: { show: true, size: 5, fill: colour("--panel") } },
      fan,
    ],
    bands: model.quantiles ? [{ series: [4, 2], fill: colour("--fan") }] : [],
    hooks: { draw: [(plot) => drawSelected(plot, now.current.selected, colour("--accent"))] },
  };
}

function drawSelected(plot, selected, colour) {
  if (selected < 0) return;
  const x = plot.valToPos(selected + 1, "x", true);
  plot.ctx.save();
  plot.ctx.strokeStyle = colour;
  plot.ctx.setLineDash([4, 4]);
  plot.ctx.beginPath();
  plot.ctx.moveTo(x, plot.bbox.top);
  plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
  plot.ctx.stroke();
  plot.ctx.restore();
}
