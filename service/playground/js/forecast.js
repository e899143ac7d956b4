/** What may come next: the network's own output fed back to it. */

import { addressOf, call, onlyRow } from "./api.js";

/** The most probable events after the selected one; nothing is stored. */
export async function findPath(lane, selected, horizon) {
  const row = lane.session
    ? { session: lane.session.id }
    : lane.trace.columns.slice(0, selected + 1).map(({ event }) => event);
  const body = { instances: [row], horizon };
  try {
    return onlyRow(await call("POST", addressOf(lane.model, "forecast"), body)).path;
  } catch (problem) {
    return { problem: problem.message };
  }
}
