/** A heat map: units over events on a canvas; a selected span lists the units that stay on. */

import { html, useMemo, useState } from "../vendor/htm-preact.js";
import { HeatCanvas } from "./heat-canvas.js";
import { lifeText } from "./model.js";
import { findScale, listStrips } from "./strips.js";
import { halfLife } from "./trace.js";

// A unit is on where its value is at least this share of the scale, with one sign.
const ON = 0.5;
const MOST_LISTED = 40;

export function Heatmap({ lane, selected, unit, theme, onSelect, onUnit }) {
  const { columns } = lane.trace;
  const strips = useMemo(() => listStrips(columns.at(-1)?.layers ?? []).strips, [columns.length > 0, lane.id]);
  const [chosen, setChosen] = useState(0);
  const [span, setSpan] = useState(null);
  const strip = strips[Math.min(chosen, strips.length - 1)];
  if (!strip) return html`<p class="quiet">Nothing to show yet.</p>`;
  const rows = columns.map(({ layers }) => layers[strip.layer]?.[strip.name] ?? []);
  const isDeep = strips.at(-1).layer > 0;
  return html`<div class="heatmap">
    <div class="panel-row">
      <label>Shown <select value=${chosen} onChange=${(event) => setChosen(Number(event.target.value))}>${strips.map(
        (each, k) =>
          html`<option key=${k} value=${k}>${each.title}${isDeep ? `, layer ${each.layer + 1}` : ""}</option>`,
      )}</select></label>
      <span class="quiet">Units down, ${lane.model.noun}s across. Drag over a span, or Shift with the arrow keys.</span>
    </div>
    <${HeatCanvas} columns=${columns} rows=${rows} strip=${strip} theme=${theme} selected=${selected} span=${span} unit=${unit}
      onSpan=${setSpan} onSelect=${onSelect} onUnit=${onUnit} />
    ${span && html`<${StayingOn} columns=${columns} strip=${strip} span=${span} onUnit=${onUnit} />`}
  </div>`;
}

function StayingOn({ columns, strip, span, onUnit }) {
  const units = useMemo(() => findStayingOn(columns, strip, span), [columns, strip, span]);
  const total = columns[span[0]].layers[strip.layer]?.[strip.name]?.length ?? 0;
  return html`<div aria-live="polite">
    <p class="quiet">${`${units.length} of ${total} units stay on from event ${span[0] + 1} to ${span[1] + 1}.`}</p>
    <ul class="units">${units
      .slice(0, MOST_LISTED)
      .map(
        (unit) =>
          html`<li key=${unit}><button type="button" class="chip" onClick=${() => onUnit({ layer: strip.layer, unit })}>unit ${unit + 1}${" "}<span class="number">${lifeText(halfLife(columns, strip.layer, unit))}</span></button></li>`,
      )}</ul></div>`;
}

/** Units of one sign and at least half the largest value at every event of a span. */
export function findStayingOn(columns, strip, [first, last]) {
  const rows = columns.slice(first, last + 1).map(({ layers }) => layers[strip.layer]?.[strip.name] ?? []);
  const most = strip.name === "long_term" ? findScale(columns)[strip.layer] : 1;
  const isOn = (values) => values.every((value) => Math.abs(value) >= ON * most && value * values[0] > 0);
  return rows[0].map((_, unit) => unit).filter((unit) => isOn(rows.map((row) => row[unit])));
}
