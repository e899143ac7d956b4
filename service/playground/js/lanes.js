/** Lanes: each a model with a sequence of events, and the requests that advance it. */

import { asProblem, Problem } from "./api.js";
import { loadModel } from "./catalog.js";
import { inText, openingEvents } from "./model.js";
import { listRewindSteps, sendToSession } from "./session.js";
import { EMPTY_TRACE, EVENTS_A_REQUEST, extendTrace, isCurrent } from "./trace.js";

let lastId = 0;

/** Make a lane. Its `events` are the sequence; in a session, the events still to be sent. */
export function makeLane(model, events) {
  return { id: ++lastId, model, events, trace: EMPTY_TRACE, session: null, problem: null };
}

/** A second lane that begins as `lane` did, up to column `last`. */
export function branchOf(lane, last) {
  const branch = makeLane(lane.model, lane.events.slice(0, last + 1));
  return { ...branch, trace: { columns: lane.trace.columns.slice(0, last + 1) } };
}

/** A lane of a live session: no event is chosen here, its memory is one column. */
export function sessionLane(model, { session, column }) {
  return { ...makeLane(model, []), session, trace: { columns: [column] } };
}

/** The lanes of a place. Where the second one's model is not served, `missing` says so instead. */
export async function loadLanes({ version, events, other }, name) {
  const first = loadModel(name, version);
  const second = other && loadModel(other.model, other.version).catch((problem) => leaveOut(other, asProblem(problem)));
  const [model, compared] = await Promise.all([first, second]);
  const chosen = events ?? openingEvents(model);
  const lanes = [makeLane(model, chosen)];
  if (compared instanceof Problem) return { lanes, missing: compared };
  if (compared) lanes.push(makeLane(compared, other.events ?? chosen));
  return { lanes, missing: null };
}

function leaveOut({ model, version }, problem) {
  if (problem.isPassing) throw problem;
  const name = version ? `${inText(model)} v${version}` : inText(model);
  return new Problem(problem.code, `The comparison with ${name} is left out. ${problem.message}`, problem.status);
}

/** What is waited for, in words; empty where nothing is. */
export function waitingFor({ lanes, loading }) {
  if (loading) return `Loading ${inText(loading)} …`;
  const behind = lanes.find(isBehind);
  return behind ? `Asking ${inText(behind.model.name)} …` : "";
}

/** Whether a lane has events that the service has not answered. */
export function isBehind({ session, problem, trace, events }) {
  if (problem) return false;
  return session ? events.length > 0 : !isCurrent(trace, events);
}

/** Ask the service about a lane's next events; returns what changes in the lane. */
export async function advance({ model, session, trace, events }) {
  if (!session) return { trace: await extendTrace(model, trace, events) };
  const sent = events.slice(0, EVENTS_A_REQUEST);
  const added = await sendToSession(model, session, sent);
  const rewindSteps = await listRewindSteps(model, session.id);
  const columns = [...trace.columns, ...added];
  return { trace: { columns }, session: { ...session, step: added.at(-1).step, rewindSteps }, sent };
}

/** Events of a lane after a request; of a session, without those that were sent. */
export function eventsAfter(lane, { sent }) {
  return sent ? lane.events.slice(sent.length) : lane.events;
}

/** Events of a lane after a problem: refused ones are removed, others wait for a retry. */
export function eventsLeft({ session, trace, events }, problem) {
  if (session) return problem.isPassing ? events : [];
  return problem.refusesEvents ? trace.columns.map(({ event }) => event) : events;
}
