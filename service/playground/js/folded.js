/** The network folded: one cell with its loop, and the numbers of the selected event. */

import { html } from "../vendor/htm-preact.js";
import { Bars } from "./bars.js";
import { eventLines, eventName } from "./model.js";
import { Picture } from "./pictures.js";

const GATES = {
  forget: ["forget", "keeps part of the long-term memory"],
  learn: ["learn", "takes in part of the event"],
  candidate: ["candidate", "what could be learned"],
  use: ["use", "shows part of it as short-term memory"],
  update: ["update", "keeps part of the memory"],
  reset: ["reset", "ignores part of the memory"],
};

export function Folded({ lane, selected, unit }) {
  const column = lane.trace.columns[selected];
  if (!column) return html`<p class="quiet">No ${lane.model.noun} is selected.</p>`;
  const at = column.layers[unit?.layer] ? unit.layer : 0;
  const layer = column.layers[at];
  const name = eventName(column.event);
  const hasLong = "long_term" in layer;
  return html`<div class="folded">
    <svg viewBox="-16 -4 664 276" role="img" aria-label="One cell with a loop: ${name} comes in, memory goes round, the answer comes out">
      <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerUnits="userSpaceOnUse" markerWidth="11" markerHeight="11" orient="auto"><path d="M0 0l8 4-8 4z" class="tip" /></marker></defs>
      ${hasLong && html`<path class="flow long" d="M470 66H520V22H120V66H168" marker-end="url(#tip)" />`}
      ${hasLong && html`<text x="320" y="15" text-anchor="middle">long-term memory c, size ${size(layer.long_term)}</text>`}
      <path class="flow" d="M470 200H520V244H120V200H168" marker-end="url(#tip)" />
      <text x="320" y="263" text-anchor="middle">short-term memory h, size ${size(layer.short_term)}</text>
      <path class="flow" d="M88 133H168" marker-end="url(#tip)" />
      <path class="flow" d="M470 133H548" marker-end="url(#tip)" />
      <rect x="170" y="36" width="300" height="194" rx="12" class="cell" />
      <circle key=${`${selected}-dot`} r="5" cx="88" cy="133" class="dot" />
      <${GateBars} layer=${layer} />
      <text x="44" y="96" text-anchor="middle">${lane.model.noun} ${column.step}</text>
      ${typeof column.event === "string" && html`<${Picture} name=${name} size=${48} x="20" y="109" />`}
      ${wrap(eventLines(column.event)).map((line, k) => html`<text key=${k} x="44" y=${typeof column.event === "string" ? 176 : 126} dy=${`${1.4 * k}em`} text-anchor="middle" class="strong">${line}</text>`)}
      ${column.layers.length > 1 && html`<text x="592" y="118" text-anchor="middle">${`layer ${at + 1} of ${column.layers.length}`}</text>`}
      <text x="592" y="137" text-anchor="middle" class="strong">answer</text>
    </svg>
    <div class="folded-out"><${Bars} model=${lane.model} values=${column.values} /></div>
  </div>`;
}

// What fits left of the cell, also in the larger letters of a phone.
const [LINE_LENGTH, MAX_LINES] = [10, 3];

/** Lines that fit: words are joined while they do, and longer ones are cut. */
function wrap(lines) {
  const wrapped = lines.flatMap(splitLine).slice(0, MAX_LINES);
  return wrapped.map((line) => (line.length > LINE_LENGTH ? `${line.slice(0, LINE_LENGTH - 1)}…` : line));
}

function splitLine(line) {
  const [first, ...words] = line.split(" ");
  const made = [first];
  for (const word of words) {
    const longer = `${made.at(-1)} ${word}`;
    if (longer.length > LINE_LENGTH) made.push(word);
    else made[made.length - 1] = longer;
  }
  return made;
}

function GateBars({ layer }) {
  const names = Object.keys(GATES).filter((name) => name in layer);
  if (names.length === 0) return html`<text x="320" y="137" text-anchor="middle">tanh: one memory, no gates</text>`;
  const height = 178 / names.length;
  return names.map((name, k) => {
    const row = layer[name];
    const mean = row.reduce((sum, value) => sum + Math.abs(value), 0) / row.length;
    const y = 46 + k * height;
    return html`<g key=${name}>
      <text x="186" y=${y + 15}><tspan class="strong">${GATES[name][0]}</tspan> <tspan class="faint">${GATES[name][1]}</tspan></text>
      <rect x="186" y=${y + 22} width="230" height="9" rx="4.5" class="gate-track" />
      <rect x="186" y=${y + 22} width=${230 * Math.min(1, mean)} height="9" rx="4.5" class="gate-bar" />
      <text x="462" y=${y + 31} text-anchor="end">${mean.toFixed(2)}</text>
    </g>`;
  });
}

function size(values) {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)).toFixed(2);
}
