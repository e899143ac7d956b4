/** What a served model takes and answers, read from its metadata. */

import { hasPicture } from "./pictures.js";

const STORY = ["bear", "squirrel", "tree", "person", "blurry"];
const NUM_COLOURS = 8;
const NUM_OPENING = 6;
const MAX_LETTERS = 60;
const DIRECTION_MARKS = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

/** Describe a model: names, schema, and how to read its answers. */
export function readModel(metadata, version = "") {
  return {
    name: metadata.name,
    version,
    servedVersion: metadata.version,
    cell: metadata.cell,
    units: metadata.units ?? [],
    threshold: metadata.threshold ?? null,
    examples: metadata.examples ?? [],
    report: readReport(metadata),
    ...readInput(metadata.input),
    ...readOutput(metadata.output),
  };
}

function readInput(input) {
  return {
    kind: input.kind,
    vocabulary: input.vocabulary ?? null,
    fields: input.fields ?? null,
    size: input.size ?? null,
    inputKey: JSON.stringify(input),
    noun: nounOf(input),
  };
}

function readOutput(output) {
  return {
    outputName: output.name,
    outputKind: output.kind,
    isNextEvent: output.kind === "next_event",
    isForecast: output.kind === "forecast",
    others: output.others ?? [],
    isSeries: output.kind === "forecast" && Boolean(output.field),
    labels: output.labels ?? null,
    field: output.field ?? null,
    quantiles: output.quantiles ?? null,
  };
}

function readReport(metadata) {
  return {
    metrics: metadata.metrics ?? [],
    createdAt: (metadata.created_at ?? "").slice(0, 10),
    config: metadata.training?.config ?? null,
    packages: metadata.packages ?? {},
    memoryBytes: metadata.memory_bytes,
    hasPage: metadata.has_report ?? false,
  };
}

function nounOf(input) {
  if (input.vocabulary?.every(hasPicture)) return "picture";
  return input.kind === "record" ? "row" : "event";
}

/** Whether each event is a character, so that text is a sequence of them. */
export function takesCharacters({ vocabulary }) {
  const own = vocabulary?.filter((name) => !isReserved(name)) ?? [];
  return own.length > 0 && own.every((name) => [...name].length === 1);
}

// Names such as [unknown], which the service adds to those of the data.
const isReserved = (name) => /^\[.*\]$/.test(name);

/** Events to open a model with: its first example, or some of its vocabulary. */
export function openingEvents(model) {
  if (STORY.every((name) => model.vocabulary?.includes(name))) return STORY;
  if (model.examples.length > 0) return model.examples[0].sequence;
  if (model.vocabulary) return model.vocabulary.slice(0, 4);
  if (model.kind === "record") return madeUpDays(model.fields);
  return Array.from({ length: NUM_OPENING }, (_, k) => madeUpPart(model.kind, model.size, k));
}

/** Two made-up days of half hours: each number swings around its mean. */
function madeUpDays(fields) {
  const start = Date.parse("2015-01-05T00:00:00Z");
  return Array.from({ length: 96 }, (_, k) =>
    Object.fromEntries(fields.map((field) => [field.name, madeUpValue(field, start + k * 1_800_000, k)])),
  );
}

function madeUpValue(field, time, k) {
  if (field.type === "time") return new Date(time).toISOString().slice(0, 19);
  if (field.type === "number") return Math.round((field.mean ?? 0) - (field.std ?? 1) * Math.cos((k * Math.PI) / 24));
  if (field.type === "category") return field.vocabulary[k % field.vocabulary.length];
  return madeUpPart(field.type, field.size, k);
}

// Numbers swing, each with its own phase; zeros would leave most memories empty.
function madeUpPart(type, size, k) {
  if (type === "index") return k % size;
  return Array.from({ length: size }, (_, j) => Number(Math.sin(k / 2 + j).toFixed(2)));
}

/** A value a record's field may take to begin with. */
export function firstValue(field) {
  if (field.type === "time") return "2015-01-05T08:00:00";
  if (field.type === "category") return field.vocabulary[0];
  if (field.type === "number") return Math.round(field.mean ?? 0);
  if (field.type === "vector") return new Array(field.size).fill(0);
  return 0;
}

/** Read the output of every event of an explained row: one flat list of numbers each. */
export function readValues(model, row) {
  return (row[model.outputName] ?? []).map((value) => [value].flat(Infinity));
}

/** A forecast as triples of low, middle and high, one per step ahead. */
export function readFan(model, values) {
  const width = model.quantiles?.length ?? 1;
  const fan = [];
  for (let k = 0; k < values.length; k += width) {
    const row = values.slice(k, k + width);
    fan.push([row[0], row[Math.floor(width / 2)], row[width - 1]]);
  }
  return fan;
}

/** Index of the number that stands for an answer: the largest, or the middle of what comes next. */
export function mainIndex(model, values) {
  return model.isForecast ? Math.floor((model.quantiles?.length ?? 1) / 2) : largest(values);
}

/** That number in words; with its place, from 1, where it is one of several without names. */
export function mainText(model, values) {
  const at = mainIndex(model, values);
  if (model.labels) return eventName(model.labels[at]);
  const isOneOfSeveral = !model.isForecast && values.length > 1;
  return `${isOneOfSeveral ? `${at + 1}: ` : ""}${formatNumber(values[at])}`;
}

/** An answer in two words: the label with its probability, or the number. */
export function describeBest(model, values) {
  if (!model.labels) return mainText(model, values);
  const most = values[mainIndex(model, values)];
  return `${mainText(model, values)} ${most.toFixed(digitsOf([most]))}`;
}

/** A noun with its article. */
export function oneOf(noun) {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}

/** Name of the colour of a label, the same everywhere. */
export function colourOf(index) {
  return `label-${index % NUM_COLOURS}`;
}

// Characters that are seen only by a sign of their own.
const SIGNS = new Map([
  [" ", "␣"],
  ["\n", "⏎"],
  ["\t", "⇥"],
]);

/** Name for running text: at most 60 characters, isolated where it runs right to left. */
export function inText(name) {
  const plain = name.replace(DIRECTION_MARKS, "");
  const short = plain.length > MAX_LETTERS ? `${plain.slice(0, MAX_LETTERS)}…` : plain;
  return RIGHT_TO_LEFT.test(short) ? `\u2068${short}\u2069` : short;
}

/** Write an event in a few characters. */
export function eventName(event) {
  if (typeof event === "string") return SIGNS.get(event) ?? inText(event);
  if (Array.isArray(event)) return formatNumber(event);
  if (event === null || typeof event !== "object") return String(event);
  const [first, ...rest] = Object.entries(event).map(([name, value]) =>
    name === "time" ? String(value).slice(5, 16).replace("T", " ") : formatNumber(value),
  );
  return [first, ...rest].join(" · ");
}

/** Write an event's parts a line each: a record's fields, a list's first numbers. */
export function eventLines(event) {
  if (event === null || typeof event !== "object" || Array.isArray(event)) return [eventName(event)];
  const names = Object.keys(event);
  const lines = names.map((name) => eventName({ [name]: event[name] }));
  // A day and an hour on lines of their own fit into the columns of a phone.
  const parts = lines.flatMap((line, k) => (names[k] === "time" && names.length <= 2 ? line.split(" ") : line));
  return parts.slice(0, 3);
}

/** Write a number with three significant digits, a whole one in full; a list of them with commas. */
export function formatNumber(value) {
  if (Array.isArray(value)) return value.map(formatNumber).join(", ");
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Digits after the point that distinguish probabilities: two, more where all are small. */
export function digitsOf(probabilities) {
  const most = Math.max(...probabilities);
  return most >= 0.1 ? 2 : Math.min(6, 1 - Math.floor(Math.log10(most)));
}

/** A half-life in a few characters. */
export function lifeText(events) {
  if (events === null) return "";
  if (!Number.isFinite(events) || events >= 10_000) return "does not fade";
  return `${events < 10 ? events.toFixed(1) : Math.round(events)} events`;
}

/** Index of the largest number. */
export function largest(values) {
  let at = 0;
  for (let k = 1; k < values.length; k++) if (values[k] > values[at]) at = k;
  return at;
}

/** Indices of the largest numbers, the largest first; of equal ones the first. */
export function topOf(values, count) {
  // Sorting 10,000 labels for each column in sight would take longer than a frame.
  const top = [];
  for (let k = 0; k < values.length; k++) {
    if (top.length === count && values[k] <= values[top.at(-1)]) continue;
    const at = top.findIndex((other) => values[other] < values[k]);
    top.splice(at < 0 ? top.length : at, 0, k);
    if (top.length > count) top.pop();
  }
  return top;
}
