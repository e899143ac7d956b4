/** A sequence unfolded in time: one column per event, and arcs of influence above them.

    Only the columns in sight are in the document: 500 events of 128 units scroll as
    easily as five of 16. */

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/htm-preact.js";
import { eventName } from "./model.js";
import { COLUMNS_A_SHEET, Sheet, startOf } from "./sheet.js";
import { findScale, listStrips } from "./strips.js";

const [SMALL, NARROWEST, WIDEST] = [80, 116, 168];
const PHONE = 480;
const ARC_HEIGHT = 56;
const MARGIN = 2;
const MAX_ARCS = 8;
const MADE_A_FRAME = 2;

export function Timeline({ lane, selected, unit, theme, influence, onSelect, onUnit }) {
  const { model, trace } = lane;
  const scroller = useRef(null);
  const [room, setRoom] = useState({ left: 0, width: 1000 });
  const layout = useMemo(
    () => listStrips(trace.columns.at(-1)?.layers ?? []),
    [lane.id, trace.columns.at(-1)?.values !== null],
  );
  // The same one while its numbers stay: with another, every column is drawn again.
  const numbers = useMemo(() => findScale(trace.columns).join(" "), [trace.columns]);
  const scale = useMemo(() => numbers.split(" ").map(Number), [numbers]);
  const follow = () => setRoom((now) => measure(scroller.current, now));
  useEffect(() => {
    const watch = new ResizeObserver(follow);
    watch.observe(scroller.current);
    return () => watch.disconnect();
  }, []);
  const count = trace.columns.length;
  const narrowest = room.width < PHONE ? SMALL : NARROWEST;
  const width = Math.max(narrowest, Math.min(WIDEST, Math.floor(room.width / count)));
  useLayoutEffect(() => keepInSight(scroller.current, room, selected, width), [selected, count, width, room.width]);
  const [first, end] = useGrowing(Math.floor(room.left / width), Math.ceil(room.width / width) + 1, count);
  // The selected column is the stop of the Tab key while it is in the document.
  const stop = selected < first || selected >= end ? 0 : -1;
  const look = useMemo(() => ({ layout, scale, width, theme }), [layout, scale, width, theme]);
  const begin = startOf(first);
  const starts = Array.from(
    { length: Math.ceil((end - begin) / COLUMNS_A_SHEET) },
    (_, k) => begin + k * COLUMNS_A_SHEET,
  );
  return html`<div class="timeline">
    <${Names} model=${model} layout=${layout} hasSurprise=${model.isNextEvent} />
    <div class="scroller" ref=${scroller} onScroll=${follow} onKeyDown=${(key) => press(key, selected, onSelect, scroller.current)} tabindex=${stop}>
      <div class="columns" role="group" aria-label="${lane.model.noun}s, oldest first" style=${{ width: `${count * width}px` }}>
        <${Arcs} influence=${influence} selected=${selected} width=${width} columns=${trace.columns} />
        <div class="spacer" style=${{ width: `${begin * width}px` }}></div>
        ${starts.map(
          (start) =>
            html`<${Sheet} key=${start} model=${model} columns=${trace.columns} start=${start} first=${first} end=${end} look=${look} selected=${selected}
            unit=${unit} onSelect=${onSelect} onUnit=${onUnit} />`,
        )}
      </div>
    </div>
  </div>`;
}

/** First and end of the columns in the document: those in sight at once, as many on both
    sides a few at a time, so that no frame makes a whole view of them.

    They leave a sheet at a time, one in a frame: of a list that loses two parts where it
    begins and gains one where it ends, Preact moves all others in the document, and the
    browser works out their styles and places again. */
function useGrowing(at, size, count) {
  const last = useRef([0, 0]);
  const sight = [Math.max(0, at - MARGIN), Math.min(count, at + size + MARGIN)];
  const [from, to] = last.current;
  const isFar = from > sight[1] || to < sight[0];
  if (isFar) last.current = sight;
  else {
    const low = startOf(Math.max(0, sight[0] - size));
    const high = startOf(sight[1] + size) + COLUMNS_A_SHEET;
    last.current = [shiftFirst(Math.min(from, sight[0]), low), Math.min(count, shiftEnd(Math.max(to, sight[1]), high))];
  }
  return last.current;
}

const shiftFirst = (first, low) =>
  first < low ? startOf(first) + COLUMNS_A_SHEET : Math.max(low, first - MADE_A_FRAME);
const shiftEnd = (end, high) => (end > high ? startOf(end - 1) : Math.min(high, end + MADE_A_FRAME));

// Arrow keys move along the columns; the selected one alone is a stop of the Tab key.
function press(key, selected, onSelect, scroller) {
  const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[key.key];
  if (!step) return;
  key.preventDefault();
  onSelect(Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, selected + step)));
  requestAnimationFrame(() =>
    requestAnimationFrame(() => scroller.querySelector(".column.selected")?.focus({ preventScroll: true })),
  );
}

function measure(scroller, now) {
  const { scrollLeft, clientWidth } = scroller;
  return scrollLeft === now.left && clientWidth === now.width ? now : { left: scrollLeft, width: clientWidth };
}

// Almost a whole width at once, so that playing scrolls seldom; by what was measured
// last, because asking the document again would lay it out once more.
function keepInSight(scroller, room, selected, width) {
  const left = Math.max(0, selected) * width;
  const right = left + width;
  if (left < room.left) scroller.scrollLeft = right + width - room.width;
  else if (right > room.left + room.width) scroller.scrollLeft = left - width;
}

function Names({ model, layout, hasSurprise }) {
  return html`<div class="names" aria-hidden="true">
    <span class="name-answer">${model.isForecast ? "forecast" : "answer"}</span>
    ${hasSurprise && html`<span class="name-surprise">surprise</span>`}
    <div class="name-strips" style=${{ height: `${layout.height}px` }}>${layout.strips.map(
      (strip) =>
        html`<span key=${strip.top} style=${{ top: `${strip.top}px`, height: `${strip.height}px` }}>${strip.isFirst && `${strip.layer + 1}. `}${strip.title}</span>`,
    )}</div>
  </div>`;
}

function Arcs({ influence, selected, width, columns }) {
  if (!influence) return null;
  const middle = (k) => k * width + width / 2;
  const strong = influence.changes
    .map((change, k) => ({ change, from: influence.first + k }))
    .filter(({ change }) => Math.abs(change) > 0.02)
    .sort((a, b) => Math.abs(b.change) - Math.abs(a.change))
    .slice(0, MAX_ARCS);
  const text = strong.map(
    ({ change, from }) => `${eventName(columns[from]?.event)} ${change > 0 ? "+" : "−"}${Math.abs(change).toFixed(2)}`,
  );
  return html`<svg class="arcs" width=${columns.length * width} height=${ARC_HEIGHT} role="img"
    aria-label="Change of the answer when an event is left out: ${text.join(", ") || "none over 0.02"}">
    ${strong.map(({ change, from }) => {
      const [a, b] = [middle(from), middle(selected)];
      const lift = Math.max(4, ARC_HEIGHT - 12 - 40 * Math.min(1, (selected - from) / 8));
      return html`<path key=${from} class=${change > 0 ? "for" : "against"} d="M${a} ${ARC_HEIGHT}C${a + (b - a) * 0.15} ${lift - 10} ${b - (b - a) * 0.15} ${lift - 10} ${b} ${ARC_HEIGHT}"
        stroke-width=${1 + 5 * Math.min(1, Math.abs(change))}><title>${`without ${eventName(columns[from]?.event)}: ${change > 0 ? "−" : "+"}${Math.abs(change).toFixed(2)}`}</title></path>`;
    })}
  </svg>`;
}
