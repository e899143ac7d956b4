/** Panels of numbers that follow the selection at a pace that can be read.

    The selection may move 60 times a second. Numbers that change as often cannot be read,
    and laying them out takes the time that the moving parts need. */

import { html, useEffect, useMemo, useRef, useState } from "../vendor/htm-preact.js";

const PACE_MS = 100;
const FRAME_MS = 17;
// When any of them was drawn last: two in one frame would make it a long one.
let lastOfAny = 0;

/** Draw `children(state)` at once where the state rests, else each `PACE_MS`. */
export function Calm({ state, children }) {
  const [shown, show] = useState(state);
  const last = useRef(0);
  useEffect(() => {
    if (shown === state) return undefined;
    const wait = Math.max(last.current + PACE_MS, lastOfAny + FRAME_MS) - performance.now();
    const timer = setTimeout(() => {
      last.current = lastOfAny = performance.now();
      show(state);
    }, wait);
    return () => clearTimeout(timer);
  }, [state, shown]);
  const drawn = useMemo(() => children(shown), [shown]);
  return html`<div class="calm" aria-busy=${shown !== state}>${drawn}</div>`;
}
