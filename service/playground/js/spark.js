/** A small line of a series: what came before, the last value, and what is expected. */

import { html } from "../vendor/htm-preact.js";
import { readFan } from "./model.js";

const [WIDTH, HEIGHT, EDGE] = [240, 88, 6];
const MAX_BEFORE = 48;

/** History up to one event, and the forecast after it; `range` makes two lines comparable. */
export function Spark({ model, before, event, values, range }) {
  const past = [...before.slice(-MAX_BEFORE).map((column) => column.event[model.field]), event[model.field]];
  const fan = readFan(model, values);
  const ahead = fan.map(([, middle]) => middle);
  const edges = [0, 2].map((edge) => [past.at(-1), ...fan.map((part) => part[edge])]);
  const [low, high] = range;
  const total = MAX_BEFORE + 1 + ahead.length;
  const x = (k) => EDGE + ((WIDTH - 2 * EDGE) * k) / (total - 1);
  const y = (value) => HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * (value - low)) / Math.max(1e-9, high - low);
  const path = (numbers, first) =>
    numbers.map((value, k) => `${k ? "L" : "M"}${x(first + k).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const begun = MAX_BEFORE + 1 - past.length;
  return html`<svg class="spark" viewBox="0 0 ${WIDTH} ${HEIGHT}" width=${WIDTH} height=${HEIGHT} role="img"
    aria-label=${`${past.length} values of ${model.field}, then a forecast of ${ahead.map(Math.round).join(", ")}`}>
    ${model.quantiles && html`<path class="fan" d=${area(edges, x, y)} />`}
    <path class="past" d=${path(past, begun)} />
    <path class="ahead" d=${path([past.at(-1), ...ahead], MAX_BEFORE)} />
    <circle cx=${x(MAX_BEFORE)} cy=${y(past.at(-1))} r="4" />
  </svg>`;
}

function area([lows, highs], x, y) {
  const point = (value, k) => `${x(MAX_BEFORE + k).toFixed(1)} ${y(value).toFixed(1)}`;
  return `M${[...lows.map(point), ...highs.map(point).reverse()].join("L")}Z`;
}

/** Lowest and highest of all that both lines show. */
export function findRange(model, before, column) {
  const numbers = [
    ...before.slice(-MAX_BEFORE).map(({ event }) => event[model.field]),
    column.event[model.field],
    ...column.values,
    ...(column.alone ?? []),
  ];
  return [Math.min(...numbers), Math.max(...numbers)];
}
