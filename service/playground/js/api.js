/** Calls of the service. Addresses are relative to the page; the API key stays in memory. */

let apiKey = "";
let onCall = () => {};
let lastCall = 0;

/** Set the API key of later calls; it is never stored. */
export function setApiKey(key) {
  apiKey = key.trim();
}

export function hasApiKey() {
  return apiKey !== "";
}

/** Report finished calls but those that only read to one listener. */
export function watchCalls(listener) {
  onCall = listener;
}

/** An error the service answered, or that it could not be reached (code `offline`). */
export class Problem extends Error {
  constructor(code, detail, status = 0) {
    super(detail);
    this.code = code;
    this.status = status;
  }

  /** Whether the same request may succeed later: the service is away or overloaded. */
  get isPassing() {
    return this.status === 0 || this.status >= 500;
  }
}

/** Call the service and return its JSON; throws a Problem. */
export async function call(method, address, body) {
  const response = await send(method, address, body);
  const answer = await response.json().catch(() => ({}));
  if (method !== "GET") onCall({ id: ++lastCall, method, address, body, status: response.status, answer });
  if (!response.ok) throw readProblem(answer, response.status);
  return answer;
}

async function send(method, address, body) {
  const headers = { Accept: "application/json" };
  if (apiKey) headers.Authorization = `Bearer ${apiKey}`;
  try {
    return await fetch(address, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Problem("offline", "The service does not answer. Check that it runs, then try again.");
  }
}

function readProblem(answer, status) {
  return new Problem(answer.code || "unknown", answer.detail || `The service answered ${status}.`, status);
}

/** Address of a model; a version only where one is chosen. */
export function modelAddress({ name, version }) {
  return `v1/models/${encodeURIComponent(name)}${version ? `/versions/${version}` : ""}`;
}

/** Address of a model's call, `verb` such as `predict`. */
export function addressOf(model, verb) {
  return `${modelAddress(model)}:${verb}`;
}

/** Address of a model's sessions, or of one of them. */
export function sessionAddress(name, session = "") {
  const id = session ? `/${encodeURIComponent(session)}` : "";
  return `v1/models/${encodeURIComponent(name)}/sessions${id}`;
}

/** Return the only prediction of an answer; a row's problem is thrown. */
export function onlyRow(answer) {
  const row = answer.predictions[0];
  if (row?.code && row.detail) throw new Problem(row.code, row.detail, row.status);
  return row;
}
