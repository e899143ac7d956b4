/** An answer as bars: probabilities with the threshold, or a forecast's numbers. */

import { html } from "../vendor/htm-preact.js";
import { colourOf, digitsOf, eventName, formatNumber, mainText, readFan, topOf } from "./model.js";

const MAX_BARS = 5;

/** Bars of one answer; with many labels the most probable ones. */
export function Bars({ model, values }) {
  if (!values) return html`<div class="bars empty" aria-hidden="true"></div>`;
  if (!model.labels) return html`<${Numbers} model=${model} values=${values} />`;
  const shown = shownOf(model, values);
  const digits = digitsOf(shown.map((k) => values[k]));
  return html`<div class="bars">${shown.map(
    (k) =>
      html`<${Bar} key=${k} label=${model.labels[k]} value=${values[k]} digits=${digits} colour=${colourOf(k)} threshold=${model.threshold} />`,
  )}</div>`;
}

function Bar({ label, value, digits, colour, threshold }) {
  const isDecided = threshold !== null && value >= threshold;
  return html`<div class="bar">
    <span class="bar-label" title=${label}>${eventName(label)}</span>
    <span class="track">
      <span class="fill"><i class=${colour} style=${{ transform: `translateX(${100 * value - 100}%)` }}></i></span>
      ${threshold !== null && html`<b style=${{ left: `${100 * threshold}%` }} title="threshold ${threshold}"></b>`}
    </span>
    <span class="number">${value.toFixed(digits)}${isDecided && html`<em class="bar-decided" title="decided: at or over the threshold ${threshold}"> ✓</em>`}</span>
  </div>`;
}

function Numbers({ model, values }) {
  if (!model.isForecast) return html`<${Outputs} model=${model} values=${values} />`;
  const rows = readFan(model, values);
  const hasRange = Boolean(model.quantiles);
  return html`<table class="numbers"><thead><tr><th scope="col">ahead</th>${hasRange && html`<th scope="col">low</th>`}<th scope="col">expected</th>${hasRange && html`<th scope="col">high</th>`}</tr></thead>
    <tbody>${rows.map(
      (
        [low, middle, high],
        k,
      ) => html`<tr key=${k}><th scope="row">${k + 1}</th>${hasRange && html`<td>${formatNumber(low)}</td>`}
        <td>${formatNumber(middle)}</td>${hasRange && html`<td>${formatNumber(high)}</td>`}</tr>`,
    )}</tbody></table>`;
}

function Outputs({ model, values }) {
  return html`<table class="numbers"><thead><tr><th scope="col">${model.outputName}</th><td></td></tr></thead>
    <tbody>${values.map((value, k) => html`<tr key=${k}><th scope="row">${k + 1}</th><td>${formatNumber(value)}</td></tr>`)}</tbody></table>`;
}

/** An answer in words, for screen readers and titles. */
export function describeAnswer(model, values) {
  if (!values) return "No answer yet";
  if (!model.labels) return `${model.isForecast ? "Forecast" : model.outputName} ${formatNumber(values)}`;
  const shown = shownOf(model, values);
  const digits = digitsOf(shown.map((k) => values[k]));
  return shown.map((k) => `${eventName(model.labels[k])} ${values[k].toFixed(digits)}`).join(", ");
}

function shownOf(model, values) {
  return model.labels.length <= MAX_BARS ? model.labels.map((_, k) => k) : topOf(values, MAX_BARS);
}

/** The same answer small, for a column: one upright bar per label. */
export function SmallBars({ model, values }) {
  if (!values) return html`<span class="small-bars"></span>`;
  if (!model.labels)
    return html`<span class="small-bars"><span class="small-number number">${mainText(model, values)}</span></span>`;
  return html`<span class="small-bars" title=${describeAnswer(model, values)}>${shownOf(model, values).map(
    (k) =>
      html`<i key=${k} class="${colourOf(k)} ${model.threshold !== null && values[k] >= model.threshold ? "decided" : ""}" style=${{ height: `${2 + 42 * values[k]}px` }}></i>`,
  )}</span>`;
}
