/** Fields and sliders for events that are records, numbers or lists of numbers. */

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { firstValue } from "./model.js";

const STEP_MS = 30 * 60 * 1000;

/** Form for one event. It opens with the last event's values, and a time one step later. */
export function Fields({ model, recent, onAppend }) {
  const fields = model.fields ?? [{ name: "event", type: model.kind, size: model.size }];
  const [values, setValues] = useState(() =>
    Object.fromEntries(fields.map((field) => [field.name, firstValue(field)])),
  );
  const set = (name, value) => setValues((now) => ({ ...now, [name]: value }));
  useEffect(() => {
    const [before, last] = recent.map((event) => readEvent(model, event));
    if (last) setValues((now) => Object.fromEntries(fields.map((field) => nextEntry(field, before, last, now))));
  }, recent);
  const submit = (event) => {
    event.preventDefault();
    onAppend([model.fields ? values : values.event]);
  };
  return html`<form class="fields" onSubmit=${submit}>
    ${fields.map((field) => html`<${Field} key=${field.name} field=${field} value=${values[field.name]} onChange=${(value) => set(field.name, value)} />`)}
    <button type="submit" class="button main-button">Add</button>
  </form>`;
}

function readEvent(model, event) {
  if (event === undefined || event === "") return null;
  return model.fields ? event : { event };
}

// The service has not seen the last event yet: a link may hold any JSON there.
function nextEntry(field, before, last, now) {
  const [earlier, value] = [before, last].map((event) => shownValue(event, field));
  if (value === undefined) return [field.name, now[field.name]];
  if (field.type === "time") return [field.name, laterTime(earlier, value)];
  // Examples have the digits of a 32-bit number, of which seven are known.
  return [field.name, typeof value === "number" ? Number(value.toPrecision(7)) : value];
}

/** An event's value of a field, where it is one that the form can show. */
function shownValue(event, { name, type, size, vocabulary }) {
  if (event === null || typeof event !== "object" || !Object.hasOwn(event, name)) return undefined;
  const value = event[name];
  const fits = {
    time: () => Number.isFinite(timeOf(value)),
    category: () => vocabulary.includes(value),
    vector: () => Array.isArray(value) && value.length === size && value.every(Number.isFinite),
  };
  return (fits[type] ?? (() => Number.isFinite(value)))() ? value : undefined;
}

// Years of four digits are those that a form and the service take.
const timeOf = (text) => (/^\d{4}-/.test(text) ? Date.parse(`${text}Z`) : Number.NaN);

/** Time one step after `last`: as long as from `before` to `last`, or half an hour. */
function laterTime(before, last) {
  const [from, to] = [before, last].map(timeOf);
  return new Date(to + (to > from ? to - from : STEP_MS)).toISOString().slice(0, 19);
}

function Field({ field, value, onChange }) {
  if (field.type === "category")
    return html`<label>${field.name}
      <select value=${value} onChange=${(event) => onChange(event.target.value)}>${field.vocabulary.map(
        (name) => html`<option key=${name} value=${name}>${name}</option>`,
      )}</select></label>`;
  if (field.type === "time")
    return html`<label>${field.name}
      <input type="datetime-local" step="1" value=${value} required
        onInput=${(event) => onChange(withSeconds(event.target.value))} /></label>`;
  if (field.type === "vector") return html`<${VectorField} field=${field} value=${value} onChange=${onChange} />`;
  return html`<${NumberField} field=${field} value=${value} onChange=${onChange} />`;
}

/** Text that is not as many numbers stays in the field, which says why it cannot be added. */
function VectorField({ field: { name, size }, value, onChange }) {
  const [refused, setRefused] = useState(null);
  const change = ({ target }) => {
    const { numbers, problem } = readList(target.value, size);
    target.setCustomValidity(problem);
    setRefused(problem ? target.value : null);
    if (!problem) onChange(numbers);
  };
  return html`<label>${`${name}: ${size} numbers`}
    <input type="text" inputmode="decimal" value=${refused ?? value.join(", ")} onChange=${change} /></label>`;
}

function NumberField({ field, value, onChange }) {
  const [low, high, step] = rangeOf(field);
  const change = (event) => event.target.value !== "" && onChange(Number(event.target.value));
  return html`<div class="slider">
    <label>${field.name}<input type="number" value=${value} step="any" required onInput=${change} /></label>
    <input type="range" aria-label="${field.name}, slider" min=${low} max=${high} step=${step} value=${value} onInput=${change} />
  </div>`;
}

function rangeOf({ type, size, mean, std }) {
  if (type === "index") return [0, Math.max(1, size - 1), 1];
  if (!std) return [-1, 1, 0.01];
  const step = 10 ** Math.floor(Math.log10(std / 20));
  const round = (x) => Math.round(x / step) * step;
  return [Math.min(0, round(mean - 3 * std)), round(mean + 3 * std), step];
}

const withSeconds = (text) => (text.length === 16 ? `${text}:00` : text);

function readList(text, size) {
  const parts = text.split(/[,\s]+/).filter(Boolean);
  const numbers = parts.map(Number);
  const bad = parts.find((_, k) => !Number.isFinite(numbers[k]));
  if (bad !== undefined) return { problem: `"${bad}" is not a number. Write numbers with commas between.` };
  if (numbers.length === size) return { numbers, problem: "" };
  return { problem: `There are ${numbers.length} numbers; expected ${size}.` };
}
