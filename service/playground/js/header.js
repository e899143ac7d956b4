/** The header: which model, what to compare it with, the key, light or dark. */

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { setApiKey } from "./api.js";
import { listVersions } from "./catalog.js";
import { readPlace } from "./place.js";

export function Header({ bench, state, theme, onTheme, onKey }) {
  const lane = state.lanes[0];
  const isFailed = state.status === "failed";
  const [versions, setVersions] = useState([]);
  useEffect(() => {
    let isLatest = true;
    listVersions(state.models).then((found) => isLatest && setVersions(found));
    return () => {
      isLatest = false;
    };
  }, [state.models]);
  return html`<header class="top">
    <a class="brand" href="playground"><svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true"><path d="M18.2 8.5A7.5 7.5 0 1 0 19.5 13M19 4v4.8h-4.8" /><circle cx="12" cy="12" r="2" /></svg>Carryover</a>
    <span class="tagline quiet">see a network remember</span>
    ${(lane || isFailed) && state.models.length > 0 && html`<${ModelChoice} bench=${bench} lane=${lane} models=${state.models} versions=${versions} />`}
    ${lane && !lane.session && html`<${CompareChoice} bench=${bench} lane=${lane} versions=${versions} />`}
    <span class="space"></span>
    <${KeyField} onKey=${onKey} />
    <a class="button" href="docs/">API</a>
    <button type="button" class="icon-button" onClick=${onTheme} aria-label=${theme === "dark" ? "Use light colours" : "Use dark colours"}>
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><circle cx="10" cy="10" r="6" /><path class="half" d="M10 4a6 6 0 0 1 0 12z" /></svg></button>
  </header>`;
}

const keyOf = ({ name, version }) => JSON.stringify([name, version]);

function nameOf({ name, version, isOnly }) {
  return isOnly ? name : `${name} v${version}`;
}

function ModelChoice({ bench, lane, models, versions }) {
  const choices = versions.length > 0 ? versions : models.map((name) => ({ name, version: "", isOnly: true }));
  const shown = choices.find(
    ({ name, version }) => name === lane?.model.name && (!version || Number(version) === lane.model.servedVersion),
  );
  const choose = (event) =>
    showModel(
      bench,
      lane,
      choices.find((each) => keyOf(each) === event.target.value),
    );
  return html`<select class="button" aria-label="Model" value=${shown ? keyOf(shown) : ""} onChange=${choose}>
    ${!shown && html`<option value="" disabled selected>choose a model …</option>`}
    ${choices.map((each) => html`<option key=${keyOf(each)} value=${keyOf(each)} selected=${each === shown}>${nameOf(each)}</option>`)}
  </select>`;
}

/** Show the chosen model on the events of the lane, or open it where the page could not. */
function showModel(bench, lane, { name, version, isOnly }) {
  const wanted = isOnly ? "" : version;
  if (lane) bench.chooseModel(name, wanted);
  else bench.open({ ...readPlace(""), model: name, version: wanted });
}

function CompareChoice({ bench, lane, versions }) {
  const others = versions.filter(
    ({ name, version, model }) =>
      model.inputKey === lane.model.inputKey &&
      !(name === lane.model.name && Number(version) === lane.model.servedVersion),
  );
  if (others.length === 0) return null;
  const choose = (event) => {
    const [name, version] = JSON.parse(event.target.value);
    event.target.value = "";
    bench.compare(name, version);
  };
  return html`<select class="button" aria-label="Compare with" value="" onChange=${choose}>
    <option value="">compare with …</option>
    ${others.map((each) => html`<option key=${keyOf(each)} value=${keyOf(each)}>${nameOf(each)}, ${each.model.cell}</option>`)}
  </select>`;
}

function KeyField({ onKey }) {
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState("");
  const submit = (event) => {
    event.preventDefault();
    try {
      setApiKey(key);
      setProblem("");
      onKey();
    } catch (error) {
      setProblem(error.message);
    }
  };
  return html`<form class="key" onSubmit=${submit}>
    <input type="password" aria-label="API key, kept in memory only" placeholder="API key" autocomplete="off" value=${key} onInput=${(event) => setKey(event.target.value)} />
    ${key && html`<button type="submit" class="button">Use key</button>`}
    ${problem && html`<span class="warning" role="alert">${problem}</span>`}
  </form>`;
}
