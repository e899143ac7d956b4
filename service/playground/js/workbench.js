/** The workbench: the state of the page, and every action that changes it.

    A lane is a model with a sequence of events; its trace follows its events. There are
    one or two: the second is a fork, or another model on the same events. */

import { asProblem } from "./api.js";
import { listModels, loadModel } from "./catalog.js";
import { Follower } from "./follower.js";
import { findPath } from "./forecast.js";
import { findInfluence } from "./influence.js";
import { branchOf, loadLanes, makeLane, sessionLane } from "./lanes.js";
import { openingEvents } from "./model.js";
import { forkSession, listRewindSteps, openSession, rewindSession, sendToSession } from "./session.js";
import { INITIAL } from "./state.js";
import { EVENTS_A_REQUEST } from "./trace.js";

const MAX_CALLS = 12;

export class Workbench {
  #follower = new Follower(this);
  #choices = 0;
  #forecasts = 0;
  #isBusy = false;
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
    const isLatest = this.#choose();
    this.change({ status: "loading", problem: null, unit: null, opened: this.state.opened + 1 });
    try {
      const models = await listModels();
      if (!isLatest()) return;
      this.change({ models });
      if (models.length === 0) return this.change({ status: "empty" });
      const name = place.model || (models.includes("nature") ? "nature" : models[0]);
      const loaded = await loadLanes(place, name);
      if (isLatest()) await this.#show(place, loaded);
    } catch (problem) {
      if (isLatest()) this.change({ status: "failed", lanes: [], problem: asProblem(problem) });
    }
  }

  async #show(place, { lanes, missing }) {
    const last = lanes[0].events.length - 1;
    const selected = place.selected < 0 ? last : Math.min(place.selected, last);
    const isLinked = lanes.length > 1 && !place.other.events;
    const { view } = place;
    this.change({ status: "ready", lanes, isLinked, active: 0, selected, view, influence: null, forecast: null });
    if (place.session) await this.attach(place.session);
    else this.change({ missing });
    await Promise.all(this.state.lanes.map(({ id }) => this.#follower.follow(id)));
  }

  /** Note a choice of what is shown, and what it loads; returns a check that it is still the latest. */
  #choose(loading = "") {
    const choice = ++this.#choices;
    this.change({ loading, missing: null });
    return () => choice === this.#choices;
  }

  /** Note a finished call, the latest first; the request panel shows them. */
  noteCall(call) {
    this.change({ calls: [call, ...this.state.calls].slice(0, MAX_CALLS) });
  }

  get lane() {
    return this.state.lanes[this.state.active];
  }

  /** Show another model; events stay where it takes the same ones. */
  async chooseModel(name, version = "") {
    await this.#replace(name, async (isLatest) => {
      const next = await loadModel(name, version);
      if (!isLatest()) return;
      const { model, events, session } = this.state.lanes[0];
      const kept = next.inputKey === model.inputKey && !session ? events : openingEvents(next);
      this.change({ lanes: [makeLane(next, kept)], active: 0, isLinked: false, selected: kept.length - 1, unit: null });
      await this.#follower.follow(this.lane.id);
    });
  }

  /** Add events to the active lane, to both where they are linked. */
  append(events) {
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
    if (lane.events.length > 0) return; // the session is being advanced
    await this.#once(this.state.active, async () => {
      const step = lane.trace.columns[count - 1].step;
      await rewindSession(lane.model, lane.session.id, step);
      const columns = lane.trace.columns.slice(0, count);
      this.patch(lane.id, { trace: { columns }, session: { ...lane.session, step } });
      this.settle();
    });
  }

  #setEvents(events) {
    const { lanes, active, isLinked } = this.state;
    const changed = lanes.map((lane, k) => (isLinked || k === active ? { ...lane, events, problem: null } : lane));
    this.change({ lanes: changed, forecast: null, influence: null });
    if (!this.lane.session) this.change({ selected: events.length - 1 });
    for (const { id } of changed) this.#follower.follow(id);
  }

  /** Begin a second lane with the first events of the active one, and make it active. */
  async fork() {
    const { lane } = this;
    if (lane.session && lane.events.length > 0) return; // the session is being advanced
    if (lane.session) return this.#once(this.state.active, () => this.#forkSession(lane, this.#choose()));
    this.#choose();
    const branch = branchOf(lane, this.state.selected);
    this.change({ lanes: [this.state.lanes[0], branch], active: 1, isLinked: false });
    await this.#follower.follow(branch.id);
  }

  async #forkSession(lane, isLatest) {
    const id = `${lane.session.id}-fork-${Date.now().toString(36)}`;
    const branch = branchOf(lane, this.state.selected);
    const { step } = branch.trace.columns.at(-1);
    await forkSession(lane.model, lane.session, id, step);
    if (!isLatest()) return;
    branch.session = { ...lane.session, id, step };
    this.change({ lanes: [this.state.lanes[0], branch], active: 1, isLinked: false });
  }

  /** Run another model on the same events. */
  async compare(name, version) {
    await this.#replace(name, async (isLatest) => {
      const model = await loadModel(name, version);
      if (!isLatest()) return;
      const other = makeLane(model, this.state.lanes[0].events);
      this.change({ lanes: [this.state.lanes[0], other], active: 0, isLinked: true });
      await this.#follower.follow(other.id);
    });
  }

  /** The most probable events after the selected one. */
  async forecast(horizon) {
    const { lane } = this;
    const { selected } = this.state;
    const isCurrent = this.#watchSelection();
    const number = ++this.#forecasts;
    const forecast = await findPath(lane, selected, horizon);
    if (isCurrent() && number === this.#forecasts) this.change({ forecast });
  }

  /** Return a check that the active lane's answers, events and selection are still these. */
  #watchSelection() {
    const { lane } = this;
    const { selected } = this.state;
    return () =>
      lane?.trace === this.lane?.trace && lane?.events === this.lane?.events && selected === this.state.selected;
  }

  /** Leave one lane. */
  closeLane(index) {
    const lanes = this.state.lanes.filter((_, k) => k !== index);
    const selected = Math.min(this.state.selected, lanes[0].trace.columns.length - 1);
    this.#choose();
    this.change({ lanes, active: 0, isLinked: false, selected, forecast: null });
    this.settle();
  }

  activate(index) {
    this.change({ active: index, forecast: null });
    this.settle();
  }

  /** Select an event of the active lane, or of lane `index`. */
  select(at, index = this.state.active) {
    const last = this.state.lanes[index].trace.columns.length - 1;
    this.change({ selected: Math.max(0, Math.min(last, at)), active: index, forecast: null });
    this.settle();
  }

  /** Look at a live session: its memory is read, and nothing changes. */
  async attach(id) {
    await this.#replace(`session ${id}`, async (isLatest) => {
      const { model } = this.state.lanes[0];
      const opened = await openSession(model, id);
      if (!isLatest()) return;
      this.change({
        lanes: [sessionLane(model, opened)],
        active: 0,
        isLinked: false,
        selected: 0,
        influence: null,
        forecast: null,
      });
    });
  }

  /** Keep the sequence as a session of the service, which remembers from now on. */
  async keep(id) {
    await this.#once(0, async () => {
      const lane = this.state.lanes[0];
      const columns = await sendToSession(lane.model, { id, step: 0 }, lane.events.slice(0, EVENTS_A_REQUEST));
      const session = { id, step: columns.at(-1).step, rewindSteps: await listRewindSteps(lane.model, id) };
      const events = this.find(lane.id)?.events.slice(columns.length);
      this.patch(lane.id, { session, events, trace: { columns } });
      await this.#follower.follow(lane.id);
    });
  }

  /** Try again what the service could not do. */
  retry() {
    const { session, trace, events } = this.lane;
    const isLast = this.state.selected >= trace.columns.length - 1;
    if (isLast && !session) this.change({ selected: events.length - 1 });
    for (const lane of this.state.lanes) {
      this.patch(lane.id, { problem: null });
      this.#follower.follow(lane.id);
    }
  }

  async #attempt(index, work) {
    const { id } = this.state.lanes[index];
    try {
      await work();
    } catch (error) {
      this.patch(id, { problem: asProblem(error) });
    }
  }

  // `#attempt` for changes of the service, one at a time: a second click does nothing.
  async #once(index, work) {
    if (this.#isBusy) return;
    this.#isBusy = true;
    await this.#attempt(index, work);
    this.#isBusy = false;
  }

  // `#attempt` for work that replaces the lanes; it asks `isLatest` before it does.
  async #replace(loading, work) {
    const isLatest = this.#choose(loading);
    await this.#attempt(0, () => work(isLatest));
    if (isLatest()) this.change({ loading: "" });
  }

  /** The lane of this number, if it is still shown. */
  find(id) {
    return this.state.lanes.find((lane) => lane.id === id);
  }

  /** Change a part of one lane. */
  patch(id, part) {
    this.change({ lanes: this.state.lanes.map((lane) => (lane.id === id ? { ...lane, ...part } : lane)) });
  }

  /** Ask which earlier events made the answer, once the selection rests. */
  settle() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#explainAnswer(), 120);
  }

  async #explainAnswer() {
    const { lane } = this;
    const { selected } = this.state;
    const isCurrent = this.#watchSelection();
    // Where the service does not say it, nothing is said about single events.
    const found = lane && (await findInfluence(lane.model, lane.trace.columns, selected).catch(() => null));
    if (isCurrent()) this.change({ influence: found && { ...found, lane: lane.id, selected } });
  }
}
