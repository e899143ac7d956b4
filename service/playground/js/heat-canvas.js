/** The canvas of a heat map: pointer and keys select an event, a unit, a span. */

import { html, useEffect, useMemo, useRef } from "../vendor/htm-preact.js";
import { eventName } from "./model.js";
import { findScale, fitCanvas, readColours, toRgb } from "./strips.js";

const HEIGHT = 320;

export function HeatCanvas({ columns, strip, theme, selected, span, unit, onSpan, onSelect, onUnit }) {
  const canvas = useRef(null);
  const from = useRef(null);
  const bitmap = useMemo(() => paintBitmap(columns, strip), [columns, strip, theme]);
  useEffect(() => {
    const paint = () => draw(canvas.current, bitmap);
    paint();
    const watch = new ResizeObserver(paint);
    watch.observe(canvas.current);
    return () => watch.disconnect();
  }, [bitmap]);
  const placeOf = (pointer) => findPlace(canvas.current, pointer, bitmap);
  const begin = (pointer) => {
    const place = placeOf(pointer);
    from.current = place.event;
    canvas.current.setPointerCapture(pointer.pointerId);
    onSelect(place.event);
    onUnit({ layer: strip.layer, unit: place.unit });
    onSpan(null);
  };
  const drag = (pointer) => from.current !== null && onSpan(ordered(from.current, placeOf(pointer).event));
  const finish = () => {
    from.current = null;
  };
  const press = (key) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key.key];
    if (!step) return;
    key.preventDefault();
    const next = Math.max(0, Math.min(columns.length - 1, selected + step));
    onSpan(key.shiftKey ? growSpan(span, selected, next) : null);
    onSelect(next);
  };
  return html`<div class="map-frame"><canvas ref=${canvas} class="map" style=${{ height: `${HEIGHT}px` }} tabindex="0" role="application"
    aria-label="Heat map of ${strip.title}: ${bitmap.height} units over ${bitmap.width} events; event ${selected + 1}, ${eventName(columns[selected]?.event ?? "none")}, is selected. Arrow keys move, Shift selects a span."
    onPointerDown=${begin} onPointerMove=${drag} onPointerUp=${finish} onKeyDown=${press}></canvas>
    ${selected >= 0 && html`<${Mark} of="event" across=${[selected, selected + 1, bitmap.width]} />`}
    ${unit?.layer === strip.layer && html`<${Mark} of="unit" down=${[unit.unit, unit.unit + 1, bitmap.height]} />`}
    ${span && html`<${Mark} of="span" across=${[span[0], span[1] + 1, bitmap.width]} />`}</div>`;
}

const WHOLE = [0, 1, 1];

/** A frame over the map, `[first, end, total]` of events across or units down. */
function Mark({ of, across = WHOLE, down = WHOLE }) {
  const share = (part, total) => `${(100 * part) / total}%`;
  const [left, right, width] = across;
  const [top, bottom, height] = down;
  return html`<i class="mark ${of}" style=${{ left: share(left, width), width: share(right - left, width), top: share(top, height), height: share(bottom - top, height) }}></i>`;
}

const ordered = (a, b) => [Math.min(a, b), Math.max(a, b)];

// The end that does not move stays where the span began.
function growSpan(span, selected, next) {
  if (!span) return ordered(selected, next);
  return ordered(span[0] === selected ? span[1] : span[0], next);
}

function findPlace(canvas, pointer, { width, height }) {
  const box = canvas.getBoundingClientRect();
  const at = (share, count) => Math.max(0, Math.min(count - 1, Math.floor(share * count)));
  return {
    event: at((pointer.clientX - box.left) / box.width, width),
    unit: at((pointer.clientY - box.top) / box.height, height),
  };
}

/** One pixel per unit and event, painted once; drawing it again is one call. */
function paintBitmap(columns, strip) {
  const rows = columns.map(({ layers }) => layers[strip.layer]?.[strip.name] ?? []);
  const width = Math.max(1, columns.length);
  const height = Math.max(1, ...rows.map((row) => row.length));
  const bitmap = new OffscreenCanvas(width, height);
  const context = bitmap.getContext("2d");
  const image = context.createImageData(width, height);
  const colours = readColours();
  const paints = { positive: toRgb(colours.positive), negative: toRgb(colours.negative), gate: toRgb(colours.gate) };
  const most = strip.name === "long_term" ? findScale(columns)[strip.layer] : 1;
  rows.forEach((row, t) => {
    row.forEach((value, k) => {
      const paint = !strip.isMemory ? paints.gate : value < 0 ? paints.negative : paints.positive;
      image.data.set(paint, 4 * (k * width + t));
      image.data[4 * (k * width + t) + 3] = 255 * Math.min(1, Math.abs(value) / most);
    });
  });
  context.putImageData(image, 0, 0);
  return bitmap;
}

function draw(canvas, bitmap) {
  const context = fitCanvas(canvas, canvas.clientWidth, HEIGHT);
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0, canvas.clientWidth, HEIGHT);
}
