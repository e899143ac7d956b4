/** The workbench: the state of the page, and every action that changes it.

    A lane is a model with a sequence of events; its trace follows its events. There are
    one or two: the second is a fork, or another model on the same events. */

import { call, Problem, sessionAddress } from "./api.js";
import { listModels, loadModel } from "./catalog.js";
import { findPath } from "./forecast.js";
import { findInfluence } from "./influence.js";
import { openingEvents } from "./model.js";
import { openSession, sendToSession } from "./session.js";
import { EMPTY_TRACE, extendTrace, isCurrent } from "./trace.js";

const INITIAL = {
  status: "loading",
  opened: 0,
  problem: null,
  models: [],
  lanes: [],
  active: 0,
  isLinked: false,
  selected: -1,
  view: "unfolded",
  unit: null,
  influence: null,
  forecast: null,
  calls: [],
};

const MOST_CALLS = 12;
let lastId = 0;

function makeLane(model, events) {
  return { id: ++lastId, model, events, trace: EMPTY_TRACE, session: null, problem: null };
}

export class Workbench {
  #following = new Set();
  #onChange;

  constructor(onChange) {
    this.state = INITIAL;
    this.#onChange = onChange;
  }

  change(part) {
    this.state = { ...this.state, ...part };
    this.#onChange(this.state);
  }

  /** Open a place: its model, its events, what is selected. */
  async open(place) {
    this.change({ status: "loading", problem: null, unit: null, opened: this.state.opened + 1 });
    try {
      const models = await listModels();
      this.change({ models });
      if (models.length === 0) return this.change({ status: "empty" });
      const name = place.model || (models.includes("nature") ? "nature" : models[0]);
      const model = await loadModel(name, place.version);
      this.change({ status: "ready", lanes: [], view: place.view, influence: null, forecast: null });
      await this.#openLanes(place, model);
    } catch (problem) {
      this.change({ status: "failed", lanes: [], problem: asProblem(problem) });
    }
  }

  async #openLanes(place, model) {
    const events = place.events ?? openingEvents(model);
    const lanes = [makeLane(model, events)];
    if (place.other) {
      const other = await loadModel(place.other.model, place.other.version);
      lanes.push(makeLane(other, place.other.events ?? events));
    }
    const isLinked = Boolean(place.other && !place.other.events);
    this.change({ lanes, isLinked, active: 0, selected: place.selected < 0 ? events.length - 1 : place.selected });
    if (place.session) await this.attach(place.session);
    await Promise.all(this.state.lanes.map(({ id }) => this.#follow(id)));
  }

  /** Note a finished call, the latest first; the request panel shows them. */
  noteCall(call) {
    this.change({ calls: [call, ...this.state.calls].slice(0, MOST_CALLS) });
  }

  get lane() {
    return this.state.lanes[this.state.active];
  }

  /** Show another model; events stay where it takes the same ones. */
  async chooseModel(name, version = "") {
    const { model, events, session } = this.state.lanes[0];
    await this.#attempt(0, async () => {
      const next = await loadModel(name, version);
      const kept = next.inputKey === model.inputKey && !session ? events : openingEvents(next);
      this.change({ lanes: [makeLane(next, kept)], active: 0, isLinked: false, selected: kept.length - 1, unit: null });
      await this.#follow(this.lane.id);
    });
  }

  /** Add events to the active lane, to both where they are linked. */
  async append(events) {
    if (this.lane.session) return this.#send(events);
    this.#setEvents([...this.lane.events, ...events]);
  }

  /** Replace the sequence. */
  replace(events) {
    this.#setEvents(events);
  }

  /** Go back to the selected event: those after it did not happen. */
  async rewind() {
    const { lane } = this;
    const count = this.state.selected + 1;
    if (!lane.session) return this.#setEvents(lane.events.slice(0, count));
    await this.#attempt(this.state.active, async () => {
      const step = lane.trace.columns[count - 1].step;
      await call("POST", `${sessionAddress(lane.model.name, lane.session.id)}:rewind`, { to_step: step });
      const columns = lane.trace.columns.slice(0, count);
      this.#patch(lane.id, { trace: { columns }, session: { ...lane.session, step } });
      this.#settle();
    });
  }

  #setEvents(events) {
    const { lanes, active, isLinked } = this.state;
    const changed = lanes.map((lane, k) => (isLinked || k === active ? { ...lane, events, problem: null } : lane));
    this.change({ lanes: changed, selected: events.length - 1, forecast: null, influence: null });
    for (const { id } of changed) this.#follow(id);
  }

  async #send(events) {
    const { id, model, session } = this.lane;
    await this.#attempt(this.state.active, async () => {
      const added = await sendToSession(model, session, events);
      const columns = [...this.#find(id).trace.columns, ...added];
      this.#patch(id, { trace: { columns }, session: { ...session, step: added.at(-1).step }, problem: null });
      this.change({ selected: columns.length - 1 });
      this.#settle();
    });
  }

  /** Begin a second lane with the first events of the active one, and make it active. */
  async fork() {
    const { lane } = this;
    if (lane.session) return this.#forkSession(lane);
    const events = lane.events.slice(0, this.state.selected + 1);
    const branch = { ...makeLane(lane.model, events), trace: { columns: lane.trace.columns.slice(0, events.length) } };
    this.change({ lanes: [this.state.lanes[0], branch], active: 1, isLinked: false });
    await this.#follow(branch.id);
  }

  async #forkSession(lane) {
    await this.#attempt(this.state.active, async () => {
      const to = `${lane.session.id}-fork-${Date.now().toString(36)}`;
      await call("POST", `${sessionAddress(lane.model.name, lane.session.id)}:fork`, { to });
      const opened = await openSession(lane.model, to);
      const branch = { ...makeLane(lane.model, []), session: opened.session, trace: lane.trace };
      this.change({ lanes: [this.state.lanes[0], branch], active: 1, isLinked: false });
    });
  }

  /** Run another model on the same events. */
  async compare(name, version) {
    await this.#attempt(0, async () => {
      const other = makeLane(await loadModel(name, version), this.state.lanes[0].events);
      this.change({ lanes: [this.state.lanes[0], other], active: 0, isLinked: true });
      await this.#follow(other.id);
    });
  }

  /** The most probable events after the selected one. */
  async forecast(horizon) {
    const { lane } = this;
    const forecast = await findPath(lane, this.state.selected, horizon);
    if (lane.id === this.lane?.id) this.change({ forecast });
  }

  /** Leave one lane. */
  closeLane(index) {
    const lanes = this.state.lanes.filter((_, k) => k !== index);
    const selected = Math.min(this.state.selected, lanes[0].trace.columns.length - 1);
    this.change({ lanes, active: 0, isLinked: false, selected });
    this.#settle();
  }

  activate(index) {
    this.change({ active: index, forecast: null });
    this.#settle();
  }

  /** Select an event of the active lane, or of lane `index`. */
  select(at, index = this.state.active) {
    const last = this.state.lanes[index].trace.columns.length - 1;
    this.change({ selected: Math.max(0, Math.min(last, at)), active: index });
    this.#settle();
  }

  /** Look at a live session: its memory is read, and nothing changes. */
  async attach(id) {
    await this.#attempt(0, async () => {
      const { model } = this.state.lanes[0];
      const opened = await openSession(model, id);
      const lane = { ...makeLane(model, []), session: opened.session, trace: { columns: [opened.column] } };
      this.change({ lanes: [lane], active: 0, isLinked: false, selected: 0, influence: null, forecast: null });
    });
  }

  /** Keep the sequence as a session of the service, which remembers from now on. */
  async keep(id) {
    await this.#attempt(0, async () => {
      const lane = this.state.lanes[0];
      const columns = await sendToSession(lane.model, { id, step: 0 }, lane.events);
      this.#patch(lane.id, { session: { id, step: columns.at(-1).step }, events: [], trace: { columns } });
    });
  }

  /** Try again what the service could not do. */
  retry() {
    for (const lane of this.state.lanes) {
      this.#patch(lane.id, { problem: null });
      this.#follow(lane.id);
    }
  }

  async #follow(id) {
    if (this.#following.has(id)) return;
    this.#following.add(id);
    try {
      for (let lane = this.#find(id); lane && isBehind(lane); lane = this.#find(id)) {
        const trace = await extendTrace(lane.model, lane.trace, lane.events);
        this.#patch(id, { trace });
      }
    } catch (error) {
      this.#fail(id, asProblem(error));
    } finally {
      this.#following.delete(id);
    }
    this.#settle();
  }

  // Events the model refuses are taken back; where the service is away they wait.
  #fail(id, problem) {
    const lane = this.#find(id);
    if (!lane) return;
    const events = problem.isPassing ? lane.events : lane.trace.columns.map(({ event }) => event);
    this.#patch(id, { problem, events });
    this.change({ selected: Math.min(this.state.selected, Math.max(0, lane.trace.columns.length - 1)) });
  }

  async #attempt(index, work) {
    const { id } = this.state.lanes[index];
    try {
      await work();
    } catch (error) {
      this.#patch(id, { problem: asProblem(error) });
    }
  }

  #find(id) {
    return this.state.lanes.find((lane) => lane.id === id);
  }

  #patch(id, part) {
    this.change({ lanes: this.state.lanes.map((lane) => (lane.id === id ? { ...lane, ...part } : lane)) });
  }

  // Ask which earlier events made the answer, once the selection rests.
  #settle() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#explainAnswer(), 120);
  }

  async #explainAnswer() {
    const { lane } = this;
    const { selected } = this.state;
    try {
      const found = lane ? await findInfluence(lane.model, lane.trace.columns, selected) : null;
      const influence = found && { ...found, lane: lane.id, selected };
      if (lane?.id === this.lane?.id && selected === this.state.selected) this.change({ influence });
    } catch {
      this.change({ influence: null });
    }
  }
}

function isBehind(lane) {
  return !lane.session && !lane.problem && !isCurrent(lane.trace, lane.events);
}

function asProblem(error) {
  if (error instanceof Problem) return error;
  console.error(error);
  return new Problem("page", `The page failed: ${error.message}. Reload it.`, 400);
}
