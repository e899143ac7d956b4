/** A lane: one model with its sequence, unfolded, folded or as a heat map. */

import { html } from "../vendor/htm-preact.js";
import { Chart } from "./chart.js";
import { Folded } from "./folded.js";
import { Heatmap } from "./heatmap.js";
import { influenceOn } from "./influence.js";
import { describeBest, inText, oneOf } from "./model.js";
import { Timeline } from "./timeline.js";

const VIEWS = { unfolded: Timeline, folded: Folded, heatmap: Heatmap };

export function Lane({ bench, state, index, theme }) {
  const lane = state.lanes[index];
  const isActive = index === state.active;
  return html`<div class="lane ${isActive ? "active" : ""}">
    ${state.lanes.length > 1 && html`<${Head} bench=${bench} state=${state} index=${index} lane=${lane} />`}
    ${lane.session && html`<p class="notice">Session <b>${inText(lane.session.id)}</b> at step ${lane.session.step}. Each ${lane.model.noun} you send advances it.</p>`}
    ${lane.problem && html`<${Trouble} bench=${bench} problem=${lane.problem} />`}
    ${lane.trace.columns.length === 0 ? html`<${Empty} lane=${lane} />` : html`<${Shown} bench=${bench} state=${state} index=${index} theme=${theme} />`}
  </div>`;
}

function Empty({ lane }) {
  const isWaiting = lane.events.length > 0 && !lane.problem;
  const invitation = `Add ${oneOf(lane.model.noun)} below: each one changes the memory, and the memory changes the answer.`;
  return html`<p class="quiet empty-lane">${isWaiting ? "Asking the service …" : invitation}</p>`;
}

function Shown({ bench, state, index, theme }) {
  const lane = state.lanes[index];
  const isActive = index === state.active;
  const View = VIEWS[state.view];
  const selected = Math.min(state.selected, lane.trace.columns.length - 1);
  const select = (at) => bench.select(at, index);
  return html`
    ${lane.model.isSeries && html`<${Chart} lane=${lane} selected=${selected} theme=${theme} onSelect=${select} />`}
    <${View} lane=${lane} selected=${selected} unit=${isActive ? state.unit : null} theme=${theme}
      influence=${influenceOn(state, lane, selected)} onSelect=${select} onUnit=${(unit) => bench.change({ unit })} />`;
}

function Head({ bench, state, index, lane }) {
  const letter = "AB"[index];
  const isActive = index === state.active;
  const answer = lane.trace.columns[Math.min(state.selected, lane.trace.columns.length - 1)]?.values;
  return html`<div class="lane-head">
    <button type="button" class="chip" aria-pressed=${isActive} onClick=${() => bench.activate(index)}>${letter}</button>
    <span>${inText(lane.model.name)} v${lane.model.servedVersion} <small>${lane.model.cell}, ${lane.model.units.join("+")} units</small></span>
    ${answer && html`<b class="lane-answer">${describeBest(lane.model, answer)}</b>`}
    <span class="quiet">${state.isLinked ? "the same events" : isActive ? "new events go here" : ""}</span>
    <button type="button" class="button quiet-button" aria-label="Close ${letter}" onClick=${() => bench.closeLane(index)}>Close</button>
  </div>`;
}

const ADVICE = new Map(
  Object.entries({
    session_gone: "The session expired or was ended. Open another one, or begin a new sequence.",
    step_conflict: "Another client advanced the session. Open it again under Sessions.",
    session_not_found: "No session has this id. Choose one of the list.",
    unauthorized: "The service wants an API key. Type it into the field at the top.",
    forbidden: "The API key does not allow this. Use one with the scope that is missing.",
    model_not_found: "The model is no longer served. Choose another at the top.",
    version_not_found: "This version is no longer served. Choose another at the top.",
  }),
);

/** What went wrong, as the service says it, and what to do. */
export function Trouble({ bench, problem }) {
  return html`<div class="warning" role="alert">
    <p><b>${problem.code}</b> ${problem.message}</p>
    ${ADVICE.has(problem.code) && html`<p>${ADVICE.get(problem.code)}</p>`}
    ${bench && problem.isPassing && html`<button type="button" class="button" onClick=${() => bench.retry()}>Try again</button>`}
  </div>`;
}
