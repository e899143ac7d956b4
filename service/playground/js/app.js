/** The page: the story first, then time, then one unit's numbers; operators' panels last. */

import { html, useMemo } from "../vendor/htm-preact.js";
import { Calm } from "./calm.js";
import { Composer } from "./composer.js";
import { Header } from "./header.js";
import { influenceOn } from "./influence.js";
import { Lane, Trouble } from "./lane.js";
import { waitingFor } from "./lanes.js";
import { Panels } from "./panels.js";
import { Player } from "./player.js";
import { Progress } from "./progress.js";
import { Story } from "./story.js";
import { UnitPanel } from "./unit.js";
import { WhatIf } from "./whatif.js";

const VIEWS = { unfolded: "Unfolded", folded: "Folded", heatmap: "Heat map" };
const TITLES = { unfolded: "Unfolded in time", folded: "Folded into one cell", heatmap: "Every unit over time" };

export function App({ bench, state, theme, onTheme, onOpen, onKey }) {
  const waiting = state.status === "ready" ? waitingFor(state) : "";
  return html`<${Header} bench=${bench} state=${state} theme=${theme} onTheme=${onTheme} onKey=${onKey} />
    <main id="main" aria-busy=${waiting !== ""}>
      <h1 class="hidden">Carryover playground: see a network remember</h1>
      ${state.status === "ready" && state.lanes.length > 0 ? html`<${Ready} key=${state.opened} bench=${bench} state=${state} theme=${theme} />` : html`<${Waiting} state=${state} onOpen=${onOpen} />`}
    </main>
    <${Progress} text=${waiting} />`;
}

function Waiting({ state, onOpen }) {
  if (state.status === "empty")
    return html`<section class="card"><h2>No model is served</h2><p>Train one with <code>make models</code>, or load one; then open this page again.</p></section>`;
  if (state.status !== "failed") return html`<p class="quiet" role="status">Asking the service …</p>`;
  return html`<section class="card"><h2>The page cannot open</h2><${Trouble} problem=${state.problem} />
    <button type="button" class="button main-button" onClick=${onOpen}>Try again</button></section>`;
}

function Ready({ bench, state, theme }) {
  const { lane, selected } = look(state);
  const events = lane.session ? lane.trace.columns.map(({ event }) => event) : lane.events;
  const [last, before] = [events.at(-1), events.at(-2)];
  // What the selection does not change is not compared at each step.
  const composer = useMemo(
    () => html`<${Composer} key=${lane.model.inputKey} model=${lane.model} session=${lane.session} recent=${[before, last]}
      onAppend=${(events) => bench.append(events)} onReplace=${(events) => bench.replace(events)} />`,
    [lane.model, lane.session, before, last],
  );
  const panels = useMemo(() => html`<${Panels} bench=${bench} state=${state} />`, [state.calls, state.lanes]);
  return html`<${Calm} state=${state}>${(calm) => html`<${Story} ...${look(calm)} />`}<//>
    <div class="bench">
      <section class="card" aria-label="The sequence">
        <div class="bench-head">
          <h2>${TITLES[state.view]} <small>${describeNetwork(lane.model)}</small></h2>
          <${Views} bench=${bench} view=${state.view} />
        </div>
        ${state.missing && html`<${Trouble} problem=${state.missing} />`}
        ${state.lanes.map((each, index) => html`<${Lane} key=${each.id} bench=${bench} state=${state} index=${index} theme=${theme} />`)}
        <${Legend} view=${state.view} influence=${state.influence} noun=${lane.model.noun} />
        <div class="toolbar">
          <${Player} count=${lane.trace.columns.length} selected=${selected} onSelect=${(at) => bench.select(at)} />
          <${WhatIf} lane=${lane} selected=${selected} hasTwo=${state.lanes.length > 1} forecast=${state.forecast}
            onFork=${() => bench.fork()} onRewind=${() => bench.rewind()} onForecast=${(horizon) => bench.forecast(horizon)} />
        </div>
        ${composer}
      </section>
      <${Calm} state=${state}>${(calm) => html`<${UnitPanel} ...${look(calm)} unit=${calm.unit} onUnit=${(unit) => bench.change({ unit })} />`}<//>
    </div>
    ${panels}`;
}

/** The lane that is looked at, its selected event, and what is known of that event's past. */
function look(state) {
  const lane = state.lanes[state.active];
  const selected = Math.min(state.selected, lane.trace.columns.length - 1);
  return { lane, selected, influence: influenceOn(state, lane, selected) };
}

function describeNetwork({ cell, units }) {
  const layers = units.length === 1 ? "one layer" : `${units.length} layers`;
  return `${cell.toUpperCase()}, ${units.join(" and ")} units, ${layers}`;
}

function Views({ bench, view }) {
  return html`<div class="tabs" role="group" aria-label="View">${Object.entries(VIEWS).map(
    ([name, title]) =>
      html`<button key=${name} type="button" aria-pressed=${name === view} onClick=${() => bench.change({ view: name })}>${title}</button>`,
  )}</div>`;
}

function Legend({ view, influence, noun }) {
  return html`<p class="legend quiet">
    <span><i class="swatch negative"></i>below 0</span><span><i class="swatch positive"></i>above 0</span>
    <span><i class="swatch gate"></i>gate, 0 to 1</span>
    ${view === "unfolded" && influence && html`<span>Arcs: how much the answer changes when that ${noun} is left out.</span>`}
  </p>`;
}
