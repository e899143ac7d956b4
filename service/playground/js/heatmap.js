/** A heat map: units over events on a canvas; a selected span lists the units that stay on. */

import { html, useMemo, useState } from "../vendor/htm-preact.js";
import { HeatCanvas } from "./heat-canvas.js";
import { lifeText } from "./model.js";
import { findScale, listStrips } from "./strips.js";
import { halfLife } from "./trace.js";

// A unit is on where its value is at least this share of the scale, with one sign.
const ON = 0.5;
const MAX_LISTED = 40;
const NUM_LONGEST = 8;

export function Heatmap({ lane, selected, unit, theme, onSelect, onUnit }) {
  const { columns } = lane.trace;
  const strips = useMemo(() => listStrips(columns.at(-1)?.layers ?? []).strips, [columns.length > 0, lane.id]);
  const [chosen, setChosen] = useState(0);
  const [span, setSpan] = useState(null);
  const strip = strips[Math.min(chosen, strips.length - 1)];
  if (!strip) return html`<p class="quiet">Nothing to show yet.</p>`;
  const isDeep = strips.at(-1).layer > 0;
  return html`<div class="heatmap">
    <div class="panel-row">
      <label>Shown <select value=${chosen} onChange=${(event) => setChosen(Number(event.target.value))}>${strips.map(
        (each, k) =>
          html`<option key=${k} value=${k}>${each.title}${isDeep ? `, layer ${each.layer + 1}` : ""}</option>`,
      )}</select></label>
      <span class="quiet">Units down, ${lane.model.noun}s across. Drag over a span, or Shift with the arrow keys.</span>
    </div>
    <${HeatCanvas} columns=${columns} strip=${strip} theme=${theme} selected=${selected} span=${span} unit=${unit}
      onSpan=${setSpan} onSelect=${onSelect} onUnit=${onUnit} />
    ${
      span
        ? html`<${StayingOn} columns=${columns} strip=${strip} span=${span} onUnit=${onUnit} />`
        : html`<${Longest} columns=${columns} layer=${strip.layer} onUnit=${onUnit} />`
    }
  </div>`;
}

/** Units of a layer by how long they remember; nothing for a cell without gates. */
function Longest({ columns, layer, onUnit }) {
  const units = useMemo(() => listLongest(columns, layer), [columns, layer]);
  if (units.length === 0) return null;
  return html`<div>
    <p class="quiet">Units that remember longest, by the half-life of their memory.</p>
    <${Units} units=${units} columns=${columns} layer=${layer} onUnit=${onUnit} />
  </div>`;
}

function Units({ units, columns, layer, onUnit }) {
  return html`<ul class="units">${units.map(
    (unit) =>
      html`<li key=${unit}><button type="button" class="chip" onClick=${() => onUnit({ layer, unit })}>unit ${unit + 1}${" "}<span class="number">${lifeText(halfLife(columns, layer, unit))}</span></button></li>`,
  )}</ul>`;
}

function listLongest(columns, layer) {
  const units = (columns.at(-1)?.layers[layer]?.short_term ?? []).map((_, unit) => unit);
  const lives = units.map((unit) => halfLife(columns, layer, unit));
  return units
    .filter((unit) => lives[unit] !== null)
    .sort((a, b) => lives[b] - lives[a])
    .slice(0, NUM_LONGEST);
}

function StayingOn({ columns, strip, span, onUnit }) {
  const units = useMemo(() => findStayingOn(columns, strip, span), [columns, strip, span]);
  const total = columns[span[0]].layers[strip.layer]?.[strip.name]?.length ?? 0;
  return html`<div aria-live="polite">
    <p class="quiet">${`${units.length} of ${total} units stay on from event ${span[0] + 1} to ${span[1] + 1}.`}</p>
    <${Units} units=${units.slice(0, MAX_LISTED)} columns=${columns} layer=${strip.layer} onUnit=${onUnit} /></div>`;
}

/** Units of one sign and at least half the largest value at every event of a span. */
export function findStayingOn(columns, strip, [first, last]) {
  const rows = columns.slice(first, last + 1).map(({ layers }) => layers[strip.layer]?.[strip.name] ?? []);
  const most = strip.name === "long_term" ? findScale(columns)[strip.layer] : 1;
  const isOn = (values) => values.every((value) => Math.abs(value) >= ON * most && value * values[0] > 0);
  return rows[0].map((_, unit) => unit).filter((unit) => isOn(rows.map((row) => row[unit])));
}
