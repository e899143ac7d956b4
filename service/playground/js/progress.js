/** What the service is asked for, said once it takes longer than a moment. */

import { html, useEffect, useState } from "../vendor/htm-preact.js";

const MOMENT_MS = 300;

/** `text` in a corner of the window, while there is one; a screen reader says it too. */
export function Progress({ text }) {
  const [isSlow, setSlow] = useState(false);
  const isWaiting = text !== "";
  useEffect(() => {
    if (!isWaiting) return undefined;
    const timer = setTimeout(() => setSlow(true), MOMENT_MS);
    return () => {
      clearTimeout(timer);
      setSlow(false);
    };
  }, [isWaiting]);
  return html`<div class="progress" role="status">${isWaiting && isSlow && html`<p>${text}</p>`}</div>`;
}
