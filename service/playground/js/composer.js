/** The composer: events by palette, by typing, by fields, or pasted. */

import { html, useState } from "../vendor/htm-preact.js";
import { Fields } from "./fields.js";
import { eventName, inText, oneOf, takesCharacters } from "./model.js";
import { readPasted } from "./pasted.js";
import { Picture } from "./pictures.js";

// A larger vocabulary is typed, not clicked.
const MAX_BUTTONS = 24;

export function Composer({ model, session, recent, onAppend, onReplace }) {
  const isPalette = model.vocabulary && model.vocabulary.length <= MAX_BUTTONS;
  return html`<section class="composer" aria-label="Add ${model.noun}s">
    <div class="composer-head">
      <h3>${session ? `Send to session ${inText(session.id)}` : `Add ${oneOf(model.noun)}`}</h3>
      ${!session && html`<${Examples} model=${model} onReplace=${onReplace} />`}
      ${!session && html`<button type="button" class="button quiet-button" onClick=${() => onReplace([])} data-does="clear">Clear</button>`}
    </div>
    ${isPalette && html`<${Palette} model=${model} onAppend=${onAppend} />`}
    ${model.vocabulary && !isPalette && html`<${Typing} model=${model} onAppend=${onAppend} />`}
    ${!model.vocabulary && html`<${Fields} key=${model.inputKey} model=${model} recent=${recent} onAppend=${onAppend} />`}
    <${Paste} model=${model} onAppend=${onAppend} />
  </section>`;
}

function Palette({ model, onAppend }) {
  return html`<div class="palette" role="group" aria-label="Palette">${model.vocabulary.map(
    (name) => html`<button key=${name} type="button" class="event-button" onClick=${() => onAppend([name])}>
      <${Picture} name=${name} size=${30} /><span title=${name}>${inText(name)}</span></button>`,
  )}</div>`;
}

function Examples({ model, onReplace }) {
  if (model.examples.length === 0) return null;
  const choose = (change) => {
    const example = model.examples[Number(change.target.value)];
    change.target.value = "";
    if (example) onReplace(example.sequence);
  };
  return html`<select class="button" aria-label="Example sequences" onChange=${choose} value="">
    <option value="">examples …</option>
    ${model.examples.map(({ name }, k) => html`<option key=${k} value=${k}>${inText(name)}</option>`)}
  </select>`;
}

/** Typing with completion; where events are characters, each typed one is an event. */
function Typing({ model, onAppend }) {
  const [text, setText] = useState("");
  const isCharacters = takesCharacters(model);
  const found = text
    ? model.vocabulary.filter((name) => name.toLowerCase().includes(text.toLowerCase())).slice(0, 8)
    : [];
  const add = (events) => {
    onAppend(events);
    setText("");
  };
  const submit = (event) => {
    event.preventDefault();
    if (isCharacters && text) add([...text]);
    else if (model.vocabulary.includes(text)) add([text]);
    else if (found.length > 0) add([found[0]]);
  };
  return html`<form class="typing" onSubmit=${submit}>
    <label>${isCharacters ? "Characters" : `One of ${model.vocabulary.length} ${model.noun}s`}
      <input type="text" value=${text} autocomplete="off" spellcheck="false"
        onInput=${(event) => setText(event.target.value)} /></label>
    <button type="submit" class="button main-button" disabled=${!text}>Add</button>
    ${
      !isCharacters &&
      found.length > 0 &&
      html`<div class="palette" role="group" aria-label="Completions">${found.map(
        (name) =>
          html`<button key=${name} type="button" class="chip" onClick=${() => add([name])}>${inText(name)}</button>`,
      )}</div>`
    }
  </form>`;
}

function Paste({ model, onAppend }) {
  const [text, setText] = useState("");
  const { events, problem } = readPasted(model, text);
  const submit = (event) => {
    event.preventDefault();
    if (events.length === 0) return;
    onAppend(events);
    setText("");
  };
  const count = `${events.length} ${model.noun}${events.length === 1 ? "" : "s"}`;
  return html`<details class="paste"><summary>Paste a sequence</summary>
    <form onSubmit=${submit}>
      <label>${hint(model)}
        <textarea rows="4" spellcheck="false" value=${text} onInput=${(event) => setText(event.target.value)}></textarea></label>
      <button type="submit" class="button main-button" disabled=${events.length === 0}>Add ${count}</button>
      ${problem && html`<p class="warning" role="alert">${problem}</p>`}
    </form>
  </details>`;
}

function hint(model) {
  if (takesCharacters(model)) return "Text, each character an event; or JSON";
  if (model.vocabulary)
    return `Names with commas or lines between, such as ${model.vocabulary.slice(0, 2).map(eventName).join(", ")}; or JSON`;
  if (model.fields) return `One ${model.noun} a line, ${model.fields.map(({ name }) => name).join(",")}; or JSON`;
  return "One event a line, numbers with commas between; or JSON";
}
