/** Calls of the service. Addresses are relative to the page; the API key stays in memory. */

// Too slow, and too many requests; the events or the body are wrong.
const [PASSING, REFUSALS] = [
  [408, 429],
  [400, 413, 422],
];

let apiKey = "";
let onCall = () => {};
let lastCall = 0;

/** Set the API key of later calls; it is never stored. */
export function setApiKey(key) {
  const trimmed = key.trim();
  if (!/^[\x21-\x7e]*$/.test(trimmed))
    throw new Problem("bad_key", "The API key has characters that no key has. Copy it again.", 401);
  apiKey = trimmed;
}

export function hasApiKey() {
  return apiKey !== "";
}

/** Set the listener of finished calls. Calls by GET are not reported. */
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
    return this.status === 0 || PASSING.includes(this.status) || this.status >= 500;
  }

  /** Whether the events themselves were refused, not the caller or the moment. */
  get refusesEvents() {
    return REFUSALS.includes(this.status);
  }
}

/** Call the service and return its JSON; throws a Problem. */
export async function call(method, address, body) {
  const response = await send(method, address, body);
  const answer = await readAnswer(response);
  if (method !== "GET") onCall({ id: ++lastCall, method, address, body, status: response.status, answer });
  if (!response.ok) throw readProblem(answer, response.status);
  return answer;
}

async function send(method, address, body) {
  const headers = { Accept: "application/json" };
  if (apiKey) headers.Authorization = `Bearer ${apiKey}`;
  const request = new Request(address, { method, headers, body: body && JSON.stringify(body) });
  return fetch(request).catch(failOffline);
}

async function readAnswer(response) {
  const text = await response.text().catch(failOffline);
  try {
    return JSON.parse(text);
  } catch {
    if (!response.ok) return {};
    throw new Problem("no_json", "The answer is not JSON. Check that the service answers at this address.", 502);
  }
}

function failOffline() {
  throw new Problem("offline", "The service does not answer. Check that it runs, then try again.");
}

function readProblem(answer, status) {
  return new Problem(answer.code || "unknown", answer.detail || `The service answered ${status}.`, status);
}

/** Address of a model; a version only where one is chosen. */
export function modelAddress({ name, version }) {
  return `v1/models/${segment(name)}${version ? `/versions/${segment(version)}` : ""}`;
}

/** A name as one part of an address. */
function segment(name) {
  const text = String(name);
  // A browser takes them for steps between folders, encoded or not.
  if (text === "." || text === "..")
    throw new Problem("bad_name", `A browser cannot ask for the name "${text}". Use another client.`, 400);
  return encodeURIComponent(text);
}

/** Address of a model's call, `verb` such as `predict`. */
export function addressOf(model, verb) {
  return `${modelAddress(model)}:${verb}`;
}

/** Address of a model's sessions, or of one of them. */
export function sessionAddress(name, session = "") {
  return `v1/models/${segment(name)}/sessions${session && `/${segment(session)}`}`;
}

/** Return the only prediction of an answer; a row's problem is thrown. */
export function onlyRow(answer) {
  const row = answer.predictions?.[0];
  if (row === undefined) throw new Problem("no_row", "The answer has no prediction. Check the service's version.", 502);
  if (row?.code && row.detail) throw new Problem(row.code, row.detail, row.status);
  return row;
}

/** Any error as a Problem; one of the page itself is logged too. */
export function asProblem(error) {
  if (error instanceof Problem) return error;
  console.error(error);
  return new Problem("page", `The page failed: ${error.message}. Reload it.`, 400);
}
