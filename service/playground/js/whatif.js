/** What if: fork, rewind, and a forecast of the events to come. */

import { html, useState } from "../vendor/htm-preact.js";
import { digitsOf, eventName } from "./model.js";
import { keepsStep } from "./session.js";

const MAX_STEPS = 50;

export function WhatIf({ lane, selected, hasTwo, forecast, onFork, onRewind, onForecast }) {
  const { columns } = lane.trace;
  const isAtEnd = selected >= columns.length - 1;
  const noun = lane.model.noun;
  const isKept = !lane.session || isAtEnd || keepsStep(lane.session, columns[selected].step);
  return html`<div class="whatif" role="group" aria-label="What if">
    <button type="button" class="button" disabled=${isAtEnd || !isKept} onClick=${onRewind}
      title="Take back the ${noun}s after the selected one">Rewind to here</button>
    <button type="button" class="button" disabled=${columns.length === 0 || hasTwo || !isKept} onClick=${onFork}
      title="Begin a second sequence with the ${noun}s so far">Fork here</button>
    ${!isKept && html`<span class="quiet">The session has not kept its memory of step ${columns[selected].step}.</span>`}
    ${lane.model.isNextEvent && lane.model.vocabulary && html`<${Ahead} lane=${lane} onForecast=${onForecast} />`}
    ${forecast && html`<${Path} forecast=${forecast} />`}
  </div>`;
}

function Ahead({ lane, onForecast }) {
  const [horizon, setHorizon] = useState(5);
  const submit = (event) => {
    event.preventDefault();
    onForecast(horizon);
  };
  return html`<form class="ahead" onSubmit=${submit}>
    <button type="submit" class="button" disabled=${lane.trace.columns.length === 0}>Forecast</button>
    <label><input type="number" min="1" max=${MAX_STEPS} value=${horizon} required
      onInput=${(event) => setHorizon(Number(event.target.value))} /> ahead</label>
  </form>`;
}

function Path({ forecast }) {
  if (forecast.problem) return html`<p class="warning" role="alert">${forecast.problem}</p>`;
  return html`<ol class="path" aria-label="Most probable ${forecast.events.length} events to come">${forecast.events.map(
    (event, k) =>
      html`<li key=${k}>${eventName(event)} <span class="number">${forecast.probabilities[k].toFixed(digitsOf([forecast.probabilities[k]]))}</span></li>`,
  )}</ol>`;
}
