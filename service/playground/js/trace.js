/** A trace: for every event of a sequence the answer, the gates and both memories.

    The page remembers as a client does: it keeps the sealed memory of its answers and
    sends only events that are new. The service stores nothing. */

import { addressOf, call, onlyRow } from "./api.js";
import { readValues } from "./model.js";

// A task of the browser reads one answer: 50 events of 128 units in some 10 ms.
export const EVENTS_A_REQUEST = 50;
const UNUSABLE_TOKEN = ["token_expired", "token_replayed", "token_invalid", "token_foreign", "wrong_network"];

/** Columns, one per event. A column has a `token` where a request ended with it. */
export const EMPTY_TRACE = { columns: [] };

/** Whether a trace shows all events, and no others. */
export function isCurrent(trace, events) {
  return trace.columns.length === events.length && countShared(trace, events) === events.length;
}

/** Bring a trace one request nearer to `events`; keep what both begin with. */
export async function extendTrace(model, trace, events) {
  const columns = trace.columns.slice(0, countShared(trace, events));
  if (columns.length === events.length) return { columns };
  const begun = columns.findLastIndex(({ token }) => token) + 1;
  const next = events.slice(begun, Math.max(begun + EVENTS_A_REQUEST, columns.length + 1));
  const memory = begun ? columns[begun - 1].token : null;
  try {
    const added = await explain(model, next, { memory });
    return { columns: [...columns.slice(0, begun), ...added] };
  } catch (problem) {
    if (memory === null || !UNUSABLE_TOKEN.includes(problem.code)) throw problem;
    return extendTrace(model, EMPTY_TRACE, events);
  }
}

/** Explain events of a row; `place` says who remembers: `{memory}` or `{session, at}`. */
export async function explain(model, events, place) {
  const body = { instances: [{ sequence: events, ...place }], return: "all" };
  const row = onlyRow(await call("POST", addressOf(model, "explain"), body));
  const columns = readColumns(model, row, events);
  columns[columns.length - 1].token = row.memory ?? null;
  return columns;
}

function readColumns(model, row, events) {
  const values = readValues(model, row);
  const first = row.step - events.length;
  return events.map((event, t) => ({
    event,
    step: first + t + 1,
    values: values[t],
    alone: readAlone(model, row.digest?.event?.[t]),
    others: model.others.map((name) => [row[name]?.[t]].flat(Infinity)),
    surprise: row.surprise?.[t] ?? null,
    layers: row.layers.map((layer) => pick(layer, t)),
  }));
}

function pick(layer, t) {
  return Object.fromEntries(Object.entries(layer).map(([name, steps]) => [name, steps[t]]));
}

/** Answer to the event alone, from its part of the logits; null where that was not exported. */
function readAlone(model, part) {
  if (part === undefined || part === null) return null;
  const numbers = [part].flat(Infinity);
  if (!model.labels) return numbers;
  const powers = numbers.map(Math.exp);
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

function countShared({ columns }, events) {
  let count = 0;
  while (count < Math.min(columns.length, events.length) && isSame(columns[count].event, events[count])) count++;
  return count;
}

function isSame(a, b) {
  return a === b || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));
}

/** Half-life of a unit's memory in events, by its mean forget gate; null without one. */
export function halfLife(columns, layer, unit) {
  const gates = columns
    .map(({ layers }) => (layers[layer]?.forget ?? layers[layer]?.update)?.[unit])
    .filter((gate) => gate !== undefined);
  if (gates.length === 0) return null;
  const mean = gates.reduce((sum, gate) => sum + gate, 0) / gates.length;
  return mean < 1 ? Math.log(0.5) / Math.log(mean) : Infinity;
}
