/** Lanes: a model with a sequence of events each, and the requests that bring them on. */

import { loadModel } from "./catalog.js";
import { openingEvents } from "./model.js";
import { sendToSession } from "./session.js";
import { EMPTY_TRACE, EVENTS_A_REQUEST, extendTrace, isCurrent } from "./trace.js";

let lastId = 0;

/** A lane: a model with a sequence of events. In a session they are those still to be sent. */
export function makeLane(model, events) {
  return { id: ++lastId, model, events, trace: EMPTY_TRACE, session: null, problem: null };
}

/** The lanes of a place; a second one that cannot be had is left out. */
export async function loadLanes({ version, events, other }, name) {
  const first = loadModel(name, version);
  const second = other && loadModel(other.model, other.version).catch(() => null);
  const [model, compared] = await Promise.all([first, second]);
  const chosen = events ?? openingEvents(model);
  const lanes = [makeLane(model, chosen)];
  if (compared) lanes.push(makeLane(compared, other.events ?? chosen));
  return lanes;
}

/** Whether a lane has events that the service was not asked about. */
export function isBehind({ session, problem, trace, events }) {
  if (problem) return false;
  return session ? events.length > 0 : !isCurrent(trace, events);
}

/** Ask the service about a lane's next events; returns what changes in the lane. */
export async function advance({ model, session, trace, events }) {
  if (!session) return { trace: await extendTrace(model, trace, events) };
  const sent = events.slice(0, EVENTS_A_REQUEST);
  const added = await sendToSession(model, session, sent);
  return { trace: { columns: [...trace.columns, ...added] }, session: { ...session, step: added.at(-1).step }, sent };
}

/** Events that are left where some were sent, or where the service refused them. */
export function eventsAfter(lane, { sent }) {
  return sent ? lane.events.slice(sent.length) : lane.events;
}

/** What a problem leaves of a lane's events: those refused are taken back, others wait. */
export function eventsLeft({ session, trace, events }, problem) {
  if (session) return problem.isPassing ? events : [];
  return problem.refusesEvents ? trace.columns.map(({ event }) => event) : events;
}
