/** Copy text, with a button that says that it did. */

import { html, useState } from "../vendor/htm-preact.js";

export function CopyButton({ text, label }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await copyText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return html`<button type="button" class="button" onClick=${copy} aria-label="Copy ${label}">${isDone ? "Copied" : "Copy"}</button>`;
}

// The clipboard needs https or this machine's own address; a selection does not.
async function copyText(text) {
  try {
    return await navigator.clipboard.writeText(text);
  } catch {
    copySelected(text);
  }
}

function copySelected(text) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
