/** A column: one event of the unfolded view, with its answer and the room of its strips. */

import { html } from "../vendor/htm-preact.js";
import { describeAnswer, SmallBars } from "./bars.js";
import { eventLines, eventName, formatNumber } from "./model.js";
import { hasPicture, Picture } from "./pictures.js";
import { Strips } from "./strips.js";

// What a column shows; its handlers do the same whichever render they are from.
const SHOWN = ["column", "width", "isSelected", "layout"];

export function Column({ model, column, index, width, isSelected, layout, onSelect, onUnit }) {
  this.shouldComponentUpdate = (next) => SHOWN.some((name) => next[name] !== this.props[name]);
  const name = eventName(column.event);
  return html`<button type="button" class="column ${isSelected ? "selected" : ""}" aria-pressed=${isSelected} tabindex=${isSelected ? 0 : -1}
    aria-label="${`${model.noun} ${column.step}: ${name}. ${describeAnswer(model, column.values)}`}" onClick=${() => onSelect(index)} style=${{ width: `${width}px` }}>
    <span class="event">
      ${typeof column.event === "string" ? html`<${Named} event=${column.event} name=${name} />` : eventLines(column.event).map((line) => html`<em title=${name}>${line}</em>`)}
    </span>
    <${SmallBars} model=${model} values=${column.values} />
    ${model.isNextEvent && html`<${Surprise} nats=${column.surprise} />`}
    <${Strips} column=${column} layout=${layout} onPoint=${(found) => isSelected && onUnit(found)} />
  </button>`;
}

/** A drawing or the first letters, and the name; a single character is its own drawing. */
function Named({ event, name }) {
  if ([...name].length === 1) return html`<em class="character" title=${event}>${name}</em>`;
  return html`<${Picture} name=${name} size=${hasPicture(event) ? 40 : 30} /><em title=${event}>${name}</em>`;
}

/** A dot with an area of as many nats: how unexpected the event was. */
function Surprise({ nats }) {
  const text = nats === null ? "no expectation yet" : `surprise ${formatNumber(nats)} nats`;
  const radius = nats === null ? 0 : Math.min(11, 4 * Math.sqrt(nats));
  return html`<span class="surprise" role="img" aria-label=${text} title=${text}>
    <svg width="24" height="24" aria-hidden="true"><circle cx="12" cy="12" r=${radius} /></svg></span>`;
}
