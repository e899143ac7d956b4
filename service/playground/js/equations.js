/** The step of one unit as equations, with this event's numbers in them. */

const signed = (value) => (value === null ? "?" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`);
const plain = (value) => value.toFixed(3);

/** Read a unit's numbers at an event; `before` is the column of the event before. */
export function readUnit(column, before, { layer, unit }) {
  const now = Object.fromEntries(Object.entries(column.layers[layer]).map(([name, row]) => [name, row[unit]]));
  const isFirst = column.step === 1;
  const earlier = (name) => before?.layers[layer][name]?.[unit] ?? (isFirst ? 0 : null);
  return { ...now, longBefore: earlier("long_term"), shortBefore: earlier("short_term") };
}

/** Which rules a layer follows, by the gates it shows. */
export function kindOf(layer) {
  if ("forget" in layer) return "lstm";
  return "update" in layer ? "gru" : "rnn";
}

const GATES = {
  lstm: [
    ["learn i", "learn"],
    ["candidate g", "candidate"],
    ["forget f", "forget"],
    ["use o", "use"],
  ],
  gru: [
    ["update z", "update"],
    ["reset r", "reset"],
    ["candidate g", "candidate"],
  ],
  rnn: [["short-term h", "short_term"]],
};

/** The gates and candidates of a unit: name, number written out, number. */
export function listGates(kind, numbers) {
  return GATES[kind].map(([title, name]) => {
    const value = numbers[name];
    const isSigned = name === "candidate" || name === "short_term";
    return [title, isSigned ? signed(value) : plain(value), value];
  });
}

/** The step: lines of a verb, its rule, the numbers in it, and the result. */
export function listSteps(kind, numbers) {
  if (kind === "lstm") return lstmSteps(numbers);
  if (kind === "gru") return gruSteps(numbers);
  return rnnSteps(numbers);
}

function lstmSteps({ learn, candidate, forget, use, longBefore, long_term, short_term }) {
  const kept = longBefore === null ? null : forget * longBefore;
  const learned = learn * candidate;
  return [
    ["learn", "learned = i · g", `${plain(learn)} · ${signed(candidate)}`, signed(learned)],
    ["forget", "kept = f · c", `${plain(forget)} · ${signed(longBefore)}`, signed(kept)],
    ["remember", "c′ = kept + learned", sum(kept, learned), signed(long_term)],
    ["use", "h′ = o · tanh(c′)", `${plain(use)} · ${signed(Math.tanh(long_term))}`, signed(short_term)],
  ];
}

function gruSteps({ update, reset, candidate, shortBefore, short_term }) {
  const kept = shortBefore === null ? null : update * shortBefore;
  const learned = (1 - update) * candidate;
  return [
    ["ignore", "g = tanh(W x + r · U h + b)", `r = ${plain(reset)}, g`, signed(candidate)],
    ["forget", "kept = z · h", `${plain(update)} · ${signed(shortBefore)}`, signed(kept)],
    ["learn", "learned = (1 − z) · g", `${plain(1 - update)} · ${signed(candidate)}`, signed(learned)],
    ["use", "h′ = kept + learned", sum(kept, learned), signed(short_term)],
  ];
}

// What goes into the tanh is not sent; it follows from what comes out of it.
function rnnSteps({ short_term }) {
  const sent = Math.abs(short_term) < 1 ? `tanh(${signed(Math.atanh(short_term))})` : "";
  return [["use", "h′ = tanh(W [h, x] + b)", sent, signed(short_term)]];
}

function sum(kept, learned) {
  return `${signed(kept)} ${learned < 0 ? "−" : "+"} ${Math.abs(learned).toFixed(3)}`;
}

/** Units with the largest change of memory by an event, the largest first. */
export function strongestUnits(column, before, layer, count) {
  const name = "long_term" in column.layers[layer] ? "long_term" : "short_term";
  const now = column.layers[layer][name];
  const then = before?.layers[layer]?.[name];
  const change = now.map((value, k) => Math.abs(value - (then?.[k] ?? 0)));
  return change
    .map((size, unit) => ({ size, unit, value: now[unit] }))
    .sort((a, b) => b.size - a.size)
    .slice(0, count);
}
