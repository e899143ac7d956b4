/** A live session of the service: read without a change, advanced only by sending. */

import { call, sessionAddress } from "./api.js";
import { explain } from "./trace.js";

/** Read a session: what it says of itself, and its memory as a column. */
export async function openSession(model, id) {
  const address = sessionAddress(model.name, id);
  const [about, document] = await Promise.all([call("GET", address), call("GET", `${address}/memory`)]);
  const column = {
    event: about.last_event ?? "",
    step: about.step,
    values: null,
    alone: null,
    surprise: null,
    layers: readLayers(document.memory),
  };
  return { session: { id, step: about.step, rewindSteps: about.rewind_steps }, column };
}

function readLayers(memory) {
  const layers = [];
  for (const [name, values] of Object.entries(memory)) {
    const [, kind, index] = name.match(/^(long_term|short_term)_(\d+)$/) ?? [];
    if (kind) layers[Number(index)] = { ...layers[Number(index)], [kind]: values };
  }
  return layers;
}

/** Send events to a session. `at` keeps them from being applied twice or out of order. */
export function sendToSession(model, session, events) {
  return explain(model, events, { session: session.id, at: session.step });
}

/** Steps that a session can be taken back to; null where the service does not say. */
export async function listRewindSteps(model, id) {
  // The events were applied: a problem here does not concern them.
  const about = await call("GET", sessionAddress(model.name, id)).catch(() => null);
  return about?.rewind_steps ?? null;
}

/** Whether a session still has the memory that it had at a step. */
export function keepsStep({ step, rewindSteps }, wanted) {
  return wanted === step || !rewindSteps || rewindSteps.includes(wanted);
}

/** Take a session back to a step that it keeps. */
export function rewindSession(model, id, step) {
  return call("POST", `${sessionAddress(model.name, id)}:rewind`, { to_step: step });
}

/** Begin session `to` with what `session` remembered at a step; nothing where it does not keep that. */
export async function forkSession(model, session, to, step) {
  await call("POST", `${sessionAddress(model.name, session.id)}:fork`, { to });
  if (step === session.step) return;
  try {
    await rewindSession(model, to, step);
  } catch (problem) {
    await call("DELETE", sessionAddress(model.name, to));
    throw problem;
  }
}

/** A page of live sessions with ids that begin with `prefix`. */
export function listSessions(model, prefix, after) {
  const query = new URLSearchParams({ limit: "20" });
  if (prefix) query.set("prefix", prefix);
  if (after) query.set("after", after);
  return call("GET", `${sessionAddress(model.name)}?${query}`);
}
