/** Strips of cells on a canvas: memories diverging around 0, gates as bars from 0 to 1. */

import { html, useRef } from "../vendor/htm-preact.js";

export const MEMORY_HEIGHT = 20;
export const GATE_HEIGHT = 16;
export const STRIP_GAP = 7;
export const LAYER_GAP = 12;

const TITLES = {
  long_term: "long-term",
  short_term: "short-term",
  learn: "learn",
  forget: "forget",
  use: "use",
  update: "update (z)",
  reset: "reset (r)",
};
const ORDER = ["long_term", "short_term", "learn", "forget", "use", "update", "reset"];

/** The strips of a trace, top to bottom, with their places. */
export function listStrips(layers) {
  const strips = [];
  let top = 0;
  layers.forEach((layer, index) => {
    for (const name of ORDER.filter((key) => key in layer)) {
      const isMemory = name.endsWith("_term");
      const height = isMemory ? MEMORY_HEIGHT : GATE_HEIGHT;
      const prefix = layers.length > 1 && name === ORDER.find((key) => key in layer);
      strips.push({ layer: index, name, top, height, isMemory, title: TITLES[name], isFirst: prefix });
      top += height + STRIP_GAP;
    }
    top += LAYER_GAP;
  });
  return { strips, height: Math.max(0, top - LAYER_GAP - STRIP_GAP) };
}

// What is to be drawn, the oldest first: a dozen columns at once would be a long task.
const waiting = new Set();
const SHARE_MS = 6;

/** Draw in one of the next tasks; returns what takes it back. */
export function drawSoon(draw) {
  if (waiting.size === 0) setTimeout(drawWaiting);
  waiting.add(draw);
  return () => waiting.delete(draw);
}

function drawWaiting() {
  const end = performance.now() + SHARE_MS;
  try {
    for (const draw of waiting) {
      waiting.delete(draw);
      draw();
      if (performance.now() > end) break;
    }
  } finally {
    // One that fails keeps none of the others from being drawn.
    if (waiting.size > 0) setTimeout(drawWaiting);
  }
}

// Of the theme they were read for: asking the document makes it work out its styles.
let known = { theme: null };

/** The colours of the theme in force. */
export function readColours() {
  const { theme } = document.documentElement.dataset;
  if (known.theme !== theme) known = { theme, ...findColours() };
  return known;
}

function findColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    positive: read("--positive"),
    negative: read("--negative"),
    gate: read("--gate"),
    empty: read("--strip"),
    mark: read("--accent"),
    ink: read("--ink"),
  };
}

// Room of a column between its edge and its strips.
export const EDGE = 10;

/** The room of one event's strips, where the pointer finds units. */
export function Strips({ column, layout, onPoint }) {
  const room = useRef(null);
  const point = (event) => onPoint(findUnit(event, room.current, column, layout));
  return html`<span ref=${room} class="strips" style=${{ height: `${layout.height}px` }} onPointerMove=${point} onPointerDown=${point}></span>`;
}

function findUnit(event, room, column, layout) {
  const box = room.getBoundingClientRect();
  const y = event.clientY - box.top;
  const strip = layout.strips.findLast(({ top }) => y >= top) ?? layout.strips[0];
  const units = (column.layers[strip.layer]?.[strip.name] ?? [0]).length;
  const at = Math.floor(((event.clientX - box.left) / box.width) * units);
  return { layer: strip.layer, unit: Math.max(0, Math.min(units - 1, at)) };
}

/** Draw the strips of a column, the `k`th of its sheet; none clears its place. */
export function drawStrips(canvas, column, k, { layout, scale, width }) {
  const context = canvas.getContext("2d");
  const colours = readColours();
  const ratio = canvas.height / layout.height;
  const filled = column ? layout.strips.filter(({ layer, name }) => column.layers[layer]?.[name]) : [];
  // Pixels are written by hand: a call of the canvas for each cell takes a whole frame.
  const image = context.createImageData(Math.round((width - 2 * EDGE) * ratio), canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (const strip of filled) {
    const most = strip.name === "long_term" ? scale[strip.layer] : 1;
    const rows = [Math.round(strip.top * ratio), Math.round((strip.top + strip.height) * ratio)];
    const values = column.layers[strip.layer][strip.name];
    fillStrip(pixels, image.width, rows, values, (value) => paintOf(strip, value / most, colours));
  }
  context.putImageData(image, Math.round((k * width + EDGE) * ratio), 0);
}

/** Two colours of a cell, of its upper and its lower part, and the share of the lower one. */
function paintOf(strip, value, colours) {
  const size = Math.min(1, Math.abs(value));
  const colour = colourOfCell(strip, value, colours);
  if (strip.isMemory) return [0, mix(colours.empty, colour, size), 1];
  return [mix(colours.empty, colour, 0), mix(colours.empty, colour, 1), size];
}

function fillStrip(pixels, width, [top, bottom], values, paint) {
  const [upper, lower, edge] = [new Uint32Array(width), new Uint32Array(width), new Uint16Array(width)];
  const step = width / values.length;
  const gap = step > 4 ? 1 : 0;
  values.forEach((value, k) => {
    const [above, below, share] = paint(value);
    const level = bottom - Math.round((bottom - top) * share);
    const end = Math.round((k + 1) * step) - gap;
    for (let x = Math.round(k * step); x < end; x++) {
      upper[x] = above;
      lower[x] = below;
      edge[x] = level;
    }
  });
  for (let y = top; y < bottom; y++)
    for (let x = 0; x < width; x++) pixels[y * width + x] = y < edge[x] ? upper[x] : lower[x];
}

/** A colour between two, as a pixel: alpha, blue, green, red from the highest byte. */
function mix(from, to, share) {
  const [a, b] = [toRgb(from), toRgb(to)];
  const part = (k) => Math.round(a[k] + (b[k] - a[k]) * share);
  return ((255 << 24) | (part(2) << 16) | (part(1) << 8) | part(0)) >>> 0;
}

/** Red, green and blue of a colour written as #rrggbb. */
export function toRgb(colour) {
  const number = Number.parseInt(colour.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

/** The colour of a value: gates have one, memories one for each sign. */
export function colourOfCell(strip, value, colours) {
  if (!strip.isMemory) return colours.gate;
  return value < 0 ? colours.negative : colours.positive;
}

/** Give a canvas the pixels of the screen, and return its context in CSS pixels. */
export function fitCanvas(canvas, width, height) {
  const ratio = globalThis.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Largest long-term memory of each layer, at least 1: one scale for all columns. */
export function findScale(columns) {
  const scale = (columns[0]?.layers ?? []).map(() => 1);
  for (const { layers } of columns)
    layers.forEach((layer, k) => {
      for (const value of layer.long_term ?? []) scale[k] = Math.max(scale[k], Math.abs(value));
    });
  return scale;
}
