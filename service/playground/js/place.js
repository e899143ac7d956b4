/** The place: model, events and view, kept in the address's hash so that it can be shared. */

const VIEWS = ["unfolded", "folded", "heatmap"];

/** The place that a state of the page is at. A session's id is part of it, a key never. */
export function placeOf({ lanes, selected, view, isLinked }) {
  const [lane, other] = lanes;
  return {
    model: lane.model.name,
    version: lane.model.version,
    session: lane.session?.id ?? "",
    events: lane.events,
    selected,
    view,
    other: other && !other.session ? describeOther(other, isLinked) : null,
  };
}

function describeOther({ model, events }, isLinked) {
  return { model: model.name, version: model.version, events: isLinked ? null : events };
}

/** Write a place as a hash. */
export function writePlace(place) {
  const fields = new URLSearchParams();
  fields.set("model", place.model);
  if (place.version) fields.set("version", place.version);
  if (place.session) fields.set("session", place.session);
  else fields.set("events", JSON.stringify(place.events ?? []));
  if (place.selected >= 0) fields.set("selected", String(place.selected));
  if (place.view !== "unfolded") fields.set("view", place.view);
  if (place.other) writeOther(fields, place.other);
  return `#${fields}`;
}

function writeOther(fields, { model, version, events }) {
  fields.set("other", model);
  if (version) fields.set("other-version", version);
  if (events) fields.set("other-events", JSON.stringify(events));
}

/** Read a hash; what cannot be read is left at its default. */
export function readPlace(hash) {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const view = fields.get("view");
  const selected = Number.parseInt(fields.get("selected") ?? "-1", 10);
  return {
    model: fields.get("model") ?? "",
    version: readVersion(fields.get("version")),
    session: fields.get("session") ?? "",
    events: readEvents(fields.get("events")),
    selected: Number.isFinite(selected) ? selected : -1,
    view: VIEWS.includes(view) ? view : "unfolded",
    other: readOther(fields),
  };
}

function readOther(fields) {
  const model = fields.get("other");
  if (!model) return null;
  return { model, version: readVersion(fields.get("other-version")), events: readEvents(fields.get("other-events")) };
}

function readVersion(text) {
  return /^\d{1,15}$/.test(text ?? "") ? text : "";
}

function readEvents(text) {
  if (text === null) return null;
  try {
    const events = JSON.parse(text);
    // Nested so deeply that it cannot be written again, it cannot be sent either.
    return Array.isArray(events) && JSON.stringify(events) ? events : null;
  } catch {
    return null;
  }
}
