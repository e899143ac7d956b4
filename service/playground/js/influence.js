/** Which earlier event made it say that: the answer's change when each is left out. */

import { addressOf, call, onlyRow } from "./api.js";
import { largest, mainIndex } from "./model.js";

// One request of as many bare rows as there are events: its cost grows with the square.
export const MAX_EVENTS = 60;

/** Changes of the answer at `selected`, one per earlier event; null where it is not asked.

    Returns:
      `{target, changes}`: the output looked at (an index), and for each event before
      `selected` by how much it is higher because that event is there. */
export async function findInfluence(model, columns, selected) {
  const answer = columns[selected]?.values;
  if (!answer || selected === 0 || columns[0].step !== 1) return null;
  const first = Math.max(0, selected + 1 - MAX_EVENTS);
  const events = columns.slice(first, selected + 1).map(({ event }) => event);
  const rows = [events];
  for (let k = 0; k < events.length - 1; k++) rows.push(events.toSpliced(k, 1));
  const body = { instances: rows };
  const response = await call("POST", addressOf(model, "predict"), body);
  onlyRow(response);
  const outputs = response.predictions.map((row) => read(model, row));
  const target = mainIndex(model, outputs[0]);
  const changes = outputs.slice(1).map((row) => outputs[0][target] - row[target]);
  return { target, first, changes: scale(model, changes) };
}

// One output comes bare, several by name. A list has a `values` of its own.
function read(model, row) {
  return [Array.isArray(row) || typeof row === "number" ? row : row[model.outputName]].flat(Infinity);
}

// Probabilities are comparable as they are; other outputs by their largest change.
function scale(model, changes) {
  if (model.labels) return changes;
  const most = Math.max(...changes.map(Math.abs), 1e-9);
  return changes.map((change) => change / most);
}

/** What is known of the selected event; null while that of another one is shown. */
export function influenceOn({ influence }, lane, selected) {
  return influence?.lane === lane.id && influence.selected === selected ? influence : null;
}

/** The event left out that changes the answer most: its index, or -1. */
export function strongest(influence) {
  if (!influence) return -1;
  const sizes = influence.changes.map(Math.abs);
  const at = largest(sizes);
  return sizes[at] > 0.02 ? influence.first + at : -1;
}
