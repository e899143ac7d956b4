/** The follower: asks the service until each lane's answers are those of its events. */

import { asProblem } from "./api.js";
import { advance, eventsAfter, eventsLeft, isBehind } from "./lanes.js";

export class Follower {
  #following = new Set();
  #workbench;

  constructor(workbench) {
    this.#workbench = workbench;
  }

  /** Ask about a lane's events, one request after another, until none is left. */
  async follow(id) {
    if (this.#following.has(id)) return;
    this.#following.add(id);
    const find = () => this.#workbench.find(id);
    for (let lane = find(); lane && isBehind(lane); lane = find()) await this.#advance(lane);
    this.#following.delete(id);
    this.#workbench.settle();
  }

  async #advance(lane) {
    try {
      const { sent, ...part } = await advance(lane);
      const now = this.#workbench.find(lane.id);
      if (!now || now.session?.id !== lane.session?.id) return; // it became a session meanwhile
      this.#workbench.patch(lane.id, { ...part, events: eventsAfter(now, { sent }) });
      if (sent && lane.id === this.#workbench.lane.id)
        this.#workbench.change({ selected: part.trace.columns.length - 1 });
    } catch (error) {
      this.#fail(lane, asProblem(error));
    }
  }

  // Events that were chosen while these failed are asked about first.
  #fail({ id, events, session }, problem) {
    const lane = this.#workbench.find(id);
    if (!lane || (!session && lane.events !== events)) return;
    this.#workbench.patch(id, { problem, events: eventsLeft(lane, problem) });
    const { selected } = this.#workbench.state;
    this.#workbench.change({ selected: Math.min(selected, Math.max(0, lane.trace.columns.length - 1)) });
  }
}
