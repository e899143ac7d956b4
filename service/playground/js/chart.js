/** A series with its forecast: values over events, and a fan after the selected one. */

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { readFan } from "./model.js";

const HEIGHT = 200;
const MAX_POINTS = 60;

export function Chart({ lane, selected, theme, onSelect }) {
  const { model, trace } = lane;
  const host = useRef(null);
  const now = useRef({ range: [0, 1] });
  // The plot as it was drawn last: what is laid over it asks it for places.
  const [drawn, setDrawn] = useState(null);
  now.current = { ...now.current, onSelect, count: trace.columns.length };
  useEffect(() => {
    const show = (plot) => setDrawn({ plot });
    now.current.plot = new globalThis.uPlot(describePlot(host.current.clientWidth, now, show), null, host.current);
    const { plot } = now.current;
    plot.over.addEventListener("click", () => pick(plot, now.current));
    const watch = new ResizeObserver(() => fit(plot, host.current.clientWidth));
    watch.observe(host.current);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [model, theme]);
  useEffect(() => {
    now.current.range = findRange(model, trace.columns);
    now.current.plot.setData(listSeries(model, trace.columns));
  }, [model, theme, trace.columns]);
  return html`<div class="chart" role="img" aria-label=${describe(model, trace.columns, selected)}>
    <div ref=${host}></div>
    ${drawn?.plot === now.current.plot && drawn && html`<${Ahead} plot=${drawn.plot} model=${model} columns=${trace.columns} selected=${selected} />`}
  </div>`;
}

/** What moves with the selection, over the plot: drawing all of it again takes too long for a frame. */
function Ahead({ plot, model, columns, selected }) {
  const column = columns[selected];
  if (!column) return null;
  const ratio = globalThis.devicePixelRatio || 1;
  const [left, top, height] = [plot.bbox.left / ratio, plot.bbox.top / ratio, plot.bbox.height / ratio];
  const x = (k) => left + plot.valToPos(k + 1, "x");
  const y = (value) => top + plot.valToPos(value, "y");
  const start = column.event[model.field];
  const fan = column.values ? readFan(model, column.values) : [];
  const points = (part) =>
    [start, ...fan.map((edges) => edges[part])].map((v, k) => `${x(selected + k).toFixed(1)} ${y(v).toFixed(1)}`);
  return html`<svg class="overlay" width=${plot.width} height=${HEIGHT} aria-hidden="true">
    <line x1=${x(selected)} x2=${x(selected)} y1=${top} y2=${top + height} />
    ${fan.length > 0 && model.quantiles && html`<path class="fan" d=${`M${[...points(0), ...points(2).reverse()].join("L")}Z`} />`}
    ${fan.length > 0 && html`<path class="ahead" d=${`M${points(1).join("L")}`} />`}
    ${fan.map(([, middle], k) => html`<circle key=${k} cx=${x(selected + 1 + k)} cy=${y(middle)} r="2.5" />`)}
  </svg>`;
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

/** Columns for the chart: event numbers, with room for the last fan, and values. */
function listSeries(model, columns) {
  const ahead = Math.max(0, ...columns.slice(-1).map(({ values }) => (values ? readFan(model, values).length : 0)));
  const numbers = Array.from({ length: columns.length + ahead }, (_, k) => k + 1);
  return [numbers, numbers.map((k) => columns[k - 1]?.event?.[model.field] ?? null)];
}

/** Lowest and highest of all values and fans: one scale, whatever is selected. */
function findRange(model, columns) {
  const numbers = columns.flatMap(({ event, values }) => [event?.[model.field] ?? [], values ?? []].flat());
  if (numbers.length === 0) return [0, 1];
  return [numbers.reduce((a, b) => Math.min(a, b)), numbers.reduce((a, b) => Math.max(a, b))];
}

function describePlot(width, now, show) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--dim"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui",
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { setScale: false } },
    scales: { x: { time: false }, y: { range: () => globalThis.uPlot.rangeNum(...now.current.range, 0.1, true) } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? tick : "")) },
      { ...axis, size: 56 },
    ],
    series: [
      {},
      {
        stroke: colour("--ink"),
        width: 1.5,
        points: { show: () => now.current.count < MAX_POINTS, size: 4, fill: colour("--panel") },
      },
    ],
    hooks: { draw: [show] },
  };
}
