/** The last request as curl and as Python, and its raw answer. */

import { html, useMemo, useState } from "../vendor/htm-preact.js";
import { hasApiKey } from "./api.js";
import { CopyButton } from "./clipboard.js";

const MAX_CHARACTERS = 4000;
const FORMS = { curl: writeCurl, Python: writePython };

export function RequestPanel({ calls }) {
  const [form, setForm] = useState("curl");
  const [chosen, setChosen] = useState(0);
  if (calls.length === 0) return html`<p class="quiet">No request was sent yet.</p>`;
  const shown = calls.find(({ id }) => id === chosen) ?? calls.find(isMain) ?? calls[0];
  return html`<div class="request">
    <div class="panel-row">
      <select aria-label="Which request" value=${shown.id} onChange=${(event) => setChosen(Number(event.target.value))}>${calls.map(
        (each) => html`<option key=${each.id} value=${each.id} selected=${each === shown}>${nameCall(each)}</option>`,
      )}</select>
      <div class="tabs" role="group" aria-label="Form of the request">${Object.keys(FORMS).map(
        (name) =>
          html`<button key=${name} type="button" aria-pressed=${name === form} onClick=${() => setForm(name)}>${name}</button>`,
      )}</div>
    </div>
    <${Shown} key=${`${shown.id} ${form}`} call=${shown} form=${form} />
  </div>`;
}

// Written out once per call: an answer may have megabytes.
function Shown({ call, form }) {
  const request = useMemo(() => FORMS[form](call), []);
  const answer = useMemo(() => JSON.stringify(call.answer), []);
  return html`<div class="panel-row"><h3>Request</h3><${CopyButton} text=${request} label="the request" /></div>
    <pre tabindex="0" aria-label="The request as ${form}"><code>${shorten(request)}</code></pre>
    <div class="panel-row"><h3>Answer <small>status ${call.status}</small></h3><${CopyButton} text=${answer} label="the answer" /></div>
    <pre tabindex="0" aria-label="The raw answer"><code>${shorten(answer)}</code></pre>`;
}

// What the user asked for; leaving events out to explain an answer is the page's own.
const isMain = ({ address }) => !address.endsWith(":predict");

function nameCall({ method, address, status, body }) {
  const rows = body?.instances?.length ?? 0;
  return `${method} ${address.replace(/^v1\/models\//, "")}${rows > 1 ? `, ${rows} rows` : ""}${status < 400 ? "" : ` (${status})`}`;
}

function shorten(text) {
  if (text.length <= MAX_CHARACTERS) return text;
  return `${text.slice(0, MAX_CHARACTERS)}\n… ${text.length - MAX_CHARACTERS} more characters; Copy takes all`;
}

const fullAddress = (address) => new URL(address, document.baseURI).href;

/** A call as a command for a shell; quotes in it are kept. */
export function writeCurl({ method, address, body }) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["curl -s"];
  if (method !== "GET" && method !== "POST") parts.push(`-X ${method}`);
  parts.push(quote(fullAddress(address)));
  if (hasApiKey()) parts.push('-H "Authorization: Bearer $CARRYOVER_KEY"');
  if (body !== undefined) parts.push(`-d ${quote(JSON.stringify(body))}`);
  return parts.join(" ");
}

/** A call as a Python program over httpx. */
export function writePython({ method, address, body }) {
  const parts = [`"${method}"`, `"${fullAddress(address)}"`];
  if (hasApiKey()) parts.push('headers={"Authorization": f"Bearer {os.environ[\'CARRYOVER_KEY\']}"}');
  if (body !== undefined) parts.push(`json=${writeLiteral(body)}`);
  const imports = hasApiKey() ? "import os\n\nimport httpx" : "import httpx";
  return `${imports}\n\nanswer = httpx.request(\n    ${parts.join(",\n    ")},\n)\nprint(answer.json())\n`;
}

function writeLiteral(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(writeLiteral).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, each]) => `${JSON.stringify(key)}: ${writeLiteral(each)}`)
    .join(", ")}}`;
}
