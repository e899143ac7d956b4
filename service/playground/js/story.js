/** The story: one event alone, and the same event after what came before. */

import { html } from "../vendor/htm-preact.js";
import { Bars } from "./bars.js";
import { strongest } from "./influence.js";
import { eventName, formatNumber, largest } from "./model.js";
import { Picture } from "./pictures.js";

const MOST_SHOWN = 6;
const MOST_NAMED = 4;
const NUMBER_WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

export function Story({ lane, selected, influence }) {
  const { model, trace } = lane;
  const column = trace.columns[selected];
  if (!column?.values) return null;
  const before = trace.columns.slice(0, selected);
  return html`<section class="story" aria-label="What carried memory changes">
    <article class="card">
      <h2>Without memory <small>${describeAlone(model, column)}</small></h2>
      <div class="telling"><div class="sequence"><${Shown} event=${column.event} size=${56} /></div>
        <${Bars} model=${model} values=${column.alone} /></div>
      <p class="say">${sayAlone(model, column)}</p>
    </article>
    <article class="card">
      <h2>With memory <small>${describeBefore(model, before, column)}</small></h2>
      <div class="telling"><${Sequence} columns=${[...before, column]} />
        <${Bars} model=${model} values=${column.values} /></div>
      <p class="say" aria-live="polite">${sayCarried(model, trace.columns, selected, influence)}</p>
    </article>
  </section>`;
}

function Sequence({ columns }) {
  const hidden = Math.max(0, columns.length - MOST_SHOWN);
  return html`<div class="sequence">
    ${hidden > 0 && html`<span class="more">${hidden} more</span>`}
    ${columns.slice(hidden).map(({ event, step }) => html`<${Shown} key=${step} event=${event} size=${44} />`)}
  </div>`;
}

function Shown({ event, size }) {
  const name = eventName(event);
  if (typeof event === "string")
    return html`<span class="shown" role="img" aria-label=${name} title=${name}><${Picture} name=${event} size=${size} /></span>`;
  return html`<span class="shown number">${name}</span>`;
}

const nameOf = (model, event) => (model.noun === "picture" ? `the ${eventName(event)} picture` : eventName(event));

function describeAlone(model, column) {
  return column.event === "blurry" ? "the blurry picture alone" : `${nameOf(model, column.event)} alone`;
}

function describeBefore(model, before, column) {
  if (before.length === 0) return `nothing came before ${nameOf(model, column.event)}`;
  const same = model.noun === "picture" ? "the same picture" : `the same ${model.noun}`;
  if (before.length === 1) return `${same}, after ${eventName(before[0].event)}`;
  if (before.length <= MOST_NAMED) return `${same}, after ${listNames(before)}`;
  return `${same}, after ${before.length} others`;
}

function listNames(columns) {
  const names = columns.map(({ event }) => eventName(event));
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** The answer in one word: the most probable label, or the number itself. */
export function wordOf(model, values) {
  if (!model.labels) return formatNumber(values[medianAt(model)]);
  return model.labels[largest(values)];
}

function medianAt(model) {
  return model.quantiles ? Math.floor(model.quantiles.length / 2) : 0;
}

function sayAlone(model, { alone }) {
  if (!alone) return "This version was exported without its answer for a single event.";
  const only = model.noun === "row" ? "this row" : `this ${model.noun}`;
  return `It sees only ${only}, so it says ${wordOf(model, alone)}.`;
}

function sayCarried(model, columns, selected, influence) {
  const column = columns[selected];
  const word = wordOf(model, column.values);
  if (selected === 0) return `Nothing is remembered yet. Add ${model.noun}s below and watch this answer change.`;
  const at = strongest(influence);
  if (at < 0) return `It says ${word}. No single earlier ${model.noun} changes that by much.`;
  const distance = selected - at;
  const ago = `${NUMBER_WORDS[distance] ?? distance} ${model.noun}${distance > 1 ? "s" : ""} ago`;
  const change = influence.changes[at - influence.first];
  const verb = change > 0 ? "so it says" : "yet it says";
  const trace = "long_term" in (column.layers[0] ?? {}) ? "long-term memory" : "memory";
  const name = typeof column.event === "string" ? `The ${eventName(columns[at].event)}` : `What mattered most`;
  return `${name} was ${ago}. Its trace is in the ${trace}, ${verb} ${word}.`;
}
