/** The panel of one unit: its gates and the step's equations with this event's numbers. */

import { html } from "../vendor/htm-preact.js";
import { kindOf, listGates, listSteps, readUnit, strongestUnits } from "./equations.js";
import { eventName, lifeText, oneOf } from "./model.js";
import { halfLife } from "./trace.js";

const NUM_STRONGEST = 6;

export function UnitPanel({ lane, selected, unit, onUnit }) {
  const { columns } = lane.trace;
  const column = columns[selected];
  const noun = lane.model.noun;
  if (!column || column.layers.length === 0)
    return html`<aside class="card unit" aria-label="One unit of the network"><p class="quiet">Add ${oneOf(noun)} to see what it does to the memory.</p></aside>`;
  const before = columns[selected - 1];
  const shown =
    unit && column.layers[unit.layer] ? unit : { layer: 0, unit: strongestUnits(column, before, 0, 1)[0].unit };
  const isDeep = column.layers.length > 1;
  return html`<aside class="card unit" aria-label="One unit of the network">
    <h2>${eventName(column.event)} <small>${`${noun} ${column.step} · unit ${shown.unit + 1}${isDeep ? ` of layer ${shown.layer + 1}` : ""}`}</small></h2>
    ${column.values ? html`<${Step} column=${column} before=${before} shown=${shown} />` : html`<p class="quiet">The session's memory from the store. Its gates show with the next ${noun}.</p>`}
    <${HalfLife} columns=${columns} shown=${shown} />
    ${isDeep && html`<${LayerChoice} layers=${column.layers} shown=${shown} onUnit=${onUnit} />`}
    <h3>Written to most</h3>
    <ul class="units">${strongestUnits(column, before, shown.layer, NUM_STRONGEST).map(
      ({ unit: k, value }) => html`<li key=${k}><button type="button" class="chip" aria-pressed=${k === shown.unit}
        onClick=${() => onUnit({ layer: shown.layer, unit: k })}>unit ${k + 1}${" "}<span class="number">${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}</span></button></li>`,
    )}</ul>
  </aside>`;
}

function Step({ column, before, shown }) {
  const kind = kindOf(column.layers[shown.layer]);
  const numbers = readUnit(column, before, shown);
  return html`<dl class="gates">${listGates(kind, numbers).map(
    ([name, text, value]) => html`<dt>${name}</dt><dd class="gate-value"><span class="track" aria-hidden="true">
        <span class="fill"><i class=${name.startsWith("candidate") || name.startsWith("short") ? (value < 0 ? "negative" : "positive") : "gate"} style=${{ transform: `translateX(${100 * Math.min(1, Math.abs(value)) - 100}%)` }}></i></span></span>
        <span class="number">${text}</span></dd>`,
  )}</dl>
    <details open><summary>Equations</summary><div class="equations">${listSteps(kind, numbers).map(
      ([verb, rule, filled, result]) =>
        html`<p><span><b>${verb}</b> ${rule}</span><code>${filled && `${filled} = `}<strong>${result}</strong></code></p>`,
    )}</div></details>`;
}

function HalfLife({ columns, shown }) {
  const text = lifeText(halfLife(columns, shown.layer, shown.unit));
  return text && html`<p class="quiet">Half-life of this unit's memory: <b>${text}</b></p>`;
}

function LayerChoice({ layers, shown, onUnit }) {
  return html`<label class="panel-row">Layer
    <select value=${shown.layer} onChange=${(event) => onUnit({ layer: Number(event.target.value), unit: 0 })}>
      ${layers.map((_, k) => html`<option key=${k} value=${k}>${k + 1}</option>`)}
    </select></label>`;
}
