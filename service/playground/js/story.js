/** The story: one event alone, and the same event after what came before. */

import { html } from "../vendor/htm-preact.js";
import { Bars } from "./bars.js";
import { strongest } from "./influence.js";
import { eventName, formatNumber, mainIndex, mainText } from "./model.js";
import { hasPicture, Picture } from "./pictures.js";
import { findRange, Spark } from "./spark.js";

const [MAX_PICTURES, MAX_NAMES, MAX_CHARACTERS] = [6, 4, 12];
const MAX_NAMED = 4;
const NUMBER_WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

export function Story({ lane, selected, influence }) {
  const { model, trace } = lane;
  const column = trace.columns[selected];
  if (!column?.values) return null;
  const before = trace.columns.slice(0, selected);
  return html`<section class="story" aria-label="What carried memory changes">
    <article class="card">
      <h2>Without memory <small>${describeAlone(model, column)}</small></h2>
      <${Telling} model=${model} before=${[]} column=${column} values=${column.alone} range=${rangeOf(model, before, column)} />
      <p class="say">${sayAlone(model, column)}</p>
    </article>
    <article class="card">
      <h2>With memory <small>${describeBefore(model, before, column)}</small></h2>
      <${Telling} model=${model} before=${before} column=${column} values=${column.values} others=${column.others} range=${rangeOf(model, before, column)} />
      <p class="say" aria-live="polite">${model.labels ? sayLabel(model, trace.columns, selected, influence) : sayNumber(model, column)}</p>
    </article>
  </section>`;
}

const rangeOf = (model, before, column) => (model.isSeries ? findRange(model, before, column) : null);

function Telling({ model, before, column, values, others, range }) {
  return html`<div class="telling">
    ${
      model.isSeries && values
        ? html`<${Spark} model=${model} before=${before} event=${column.event} values=${values} range=${range} />`
        : html`<${Sequence} columns=${[...before, column]} size=${before.length > 0 ? 44 : 56} />`
    }
    <${Bars} model=${model} values=${values} />
    ${others && model.others.length > 0 && html`<dl class="facts">${model.others.map((name, k) => html`<dt key=${name}>${name}</dt><dd class="number">${formatNumber(others[k])}</dd>`)}</dl>`}
  </div>`;
}

function Sequence({ columns, size }) {
  const shown = columns.slice(-mostShown(columns));
  // A session may have begun before the page looked at it.
  const hidden = columns.length > 1 ? shown[0].step - 1 : 0;
  return html`<div class="sequence">
    ${hidden > 0 && html`<span class="more">${hidden} more</span>`}
    ${shown.map(({ event, step }) => html`<${Shown} key=${step} event=${event} size=${size} />`)}
  </div>`;
}

function mostShown(columns) {
  const names = columns.slice(-MAX_CHARACTERS).map(({ event }) => eventName(event));
  if (names.every((name) => name.length === 1)) return MAX_CHARACTERS;
  return names.every(hasPicture) ? MAX_PICTURES : MAX_NAMES;
}

function Shown({ event, size }) {
  const name = eventName(event);
  if (hasPicture(name))
    return html`<span class="shown" role="img" aria-label=${name} title=${name}><${Picture} name=${event} size=${size} /></span>`;
  return html`<span class="shown number" title=${name}>${name}</span>`;
}

function describeAlone(model, { event }) {
  if (model.noun === "picture") return `the ${eventName(event)} picture alone`;
  return `${eventName(event)} alone`;
}

function describeBefore(model, before, { event, step }) {
  const same = `the same ${model.noun}`;
  const count = step - 1;
  if (count === 0) return `nothing came before ${eventName(event)}`;
  if (model.kind !== "event" || count > MAX_NAMED || count > before.length)
    return `${same}, after ${count} ${count === 1 ? "other" : "others"}`;
  return `${same}, after ${listNames(before)}`;
}

function listNames(columns) {
  const names = columns.map(({ event }) => eventName(event));
  return names.length === 1 ? names[0] : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function sayAlone(model, { alone }) {
  if (!alone) return "This version was exported without its answer to a single event.";
  return `It sees only this ${model.noun}, so it ${sayAnswer(model, alone)}.`;
}

function sayNumber(model, { alone, values, step }) {
  if (step === 1) return `Nothing is remembered yet. Add ${model.noun}s below and watch this answer change.`;
  const count = countOf(model, step - 1);
  const at = mainIndex(model, values);
  const change = alone ? values[at] - alone[at] : 0;
  const difference =
    change === 0 ? "" : `, ${formatNumber(Math.abs(change))} ${change < 0 ? "less" : "more"} than without`;
  return `It remembers ${count}, so it ${sayAnswer(model, values)}${difference}.`;
}

function countOf({ noun }, count) {
  return count === 1 ? `one ${noun}` : `${count} ${noun}s`;
}

function sayAnswer(model, values) {
  const text = mainText(model, values);
  if (model.isNextEvent || model.isForecast) return `expects ${text} next`;
  if (model.labels) return `says ${text}`;
  if (values.length === 1) return `answers ${text}`;
  return `answers with number ${text.replace(":", ",")}, the largest`;
}

/** An event as the subject of a sentence; a record has too many parts for one. */
function subjectOf({ fields, noun }, { event, step }) {
  return fields ? `${noun[0].toUpperCase()}${noun.slice(1)} ${step}` : `The ${eventName(event)}`;
}

function sayLabel(model, columns, selected, influence) {
  const column = columns[selected];
  const answer = sayAnswer(model, column.values);
  if (column.step === 1) return `Nothing is remembered yet. Add ${model.noun}s below and watch this answer change.`;
  const at = strongest(influence);
  // Not asked yet, or the service did not answer: nothing is claimed of single events.
  if (!influence) return `It remembers ${countOf(model, column.step - 1)}, so it ${answer}.`;
  if (at < 0) return `It ${answer}. No single earlier ${model.noun} changes that by much.`;
  const distance = selected - at;
  const ago = `${NUMBER_WORDS[distance] ?? distance} ${model.noun}${distance > 1 ? "s" : ""} ago`;
  const verb = influence.changes[at - influence.first] > 0 ? "so" : "yet";
  const memory = "long_term" in column.layers[0] ? "long-term memory" : "memory";
  return `${subjectOf(model, columns[at])} was ${ago}. Its trace is in the ${memory}, ${verb} it ${answer}.`;
}
