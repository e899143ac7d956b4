/** Pasted text as events: names, lines of fields, numbers, or JSON. */

import { takesCharacters } from "./model.js";

/** Read text for a model: `{events, problem}`; a problem names the line it is in. */
export function readPasted(model, text) {
  const trimmed = text.trim();
  if (!trimmed) return { events: [], problem: "" };
  try {
    if (/^[[{]/.test(trimmed)) return { events: readJson(trimmed), problem: "" };
    if (model.vocabulary) return { events: readNames(model, trimmed), problem: "" };
    const lines = trimmed.split(/\r?\n/).filter((line) => line.trim());
    return { events: readLines(model, lines), problem: "" };
  } catch (error) {
    return { events: [], problem: error.message };
  }
}

function readJson(text) {
  const events = parse(text);
  if (!Array.isArray(events))
    throw new Error("The JSON is an object; expected a list of events. Put [ and ] around it.");
  return events;
}

function parse(text) {
  let isInfinite = false;
  const note = (_, value) => {
    isInfinite ||= value === Infinity || value === -Infinity;
    return value;
  };
  try {
    const value = JSON.parse(text, note);
    if (!isInfinite) return value;
  } catch (error) {
    throw new Error(`The text is not JSON: ${error.message}. Check brackets, quotes and commas.`);
  }
  // It would be sent as null.
  throw new Error("The JSON has a number over 1.8e308. Write a smaller one.");
}

function readNames(model, text) {
  const names = takesCharacters(model) ? [...text] : text.split(/\s*[,\n]\s*/).filter(Boolean);
  const known = new Set(model.vocabulary);
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined)
    throw new Error(`"${unknown}" is not an event of ${model.name}. Choose names of its vocabulary.`);
  return names;
}

function readLines(model, lines) {
  const cells = lines.map((line) => line.split(/\s*[,;\t]\s*/));
  if (!model.fields) return cells.map((line, k) => readNumbers(model, line, k));
  const names = model.fields.map(({ name }) => name);
  const hasHeader = names.every((name) => cells[0].some((cell) => cell.trim() === name));
  const order = hasHeader ? cells.shift().map((cell) => cell.trim()) : names;
  return cells.map((line, k) => readRecord(model, order, line, k + (hasHeader ? 2 : 1)));
}

function readRecord(model, order, line, number) {
  if (line.length !== order.length)
    throw new Error(`Line ${number} has ${line.length} cells; expected ${order.length}: ${order.join(",")}.`);
  return Object.fromEntries(
    model.fields.map((field) => [field.name, readCell(field, line[order.indexOf(field.name)]?.trim(), number)]),
  );
}

function readCell(field, text, number) {
  if (field.type === "time") return text.replace(" ", "T");
  if (field.type === "category") return text;
  return readNumber(text, number);
}

function readNumbers(model, line, k) {
  const numbers = line.map((cell) => readNumber(cell, k + 1));
  return model.kind === "vector" ? numbers : numbers[0];
}

function readNumber(text, line) {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value)) throw new Error(`Line ${line} has "${text}"; expected a number.`);
  return value;
}
