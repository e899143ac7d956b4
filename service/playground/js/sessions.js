/** Live sessions of a model: search, expiry, step, size; open one, or keep the sequence. */

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { inText } from "./model.js";
import { listSessions } from "./session.js";

export function SessionsPanel({ lane, onAttach, onKeep }) {
  const [prefix, setPrefix] = useState("");
  const [page, setPage] = useState(null);
  const asked = useRef(0);
  const look = async (after = null) => {
    const number = ++asked.current;
    try {
      const answer = await listSessions(lane.model, prefix, after);
      if (number !== asked.current) return; // another search was begun meanwhile
      const earlier = after ? page.sessions : [];
      setPage({ sessions: [...earlier, ...answer.sessions], after: answer.after, problem: "" });
    } catch ({ message }) {
      setPage((now) => (number === asked.current ? { sessions: [], after: null, problem: message } : now));
    }
  };
  useEffect(() => {
    const timer = setTimeout(look, 150);
    return () => {
      clearTimeout(timer);
      asked.current++;
    };
  }, [prefix, lane.model.name, lane.session?.step]);
  const search = (event) => {
    setPrefix(event.target.value);
    setPage(null);
  };
  return html`<div class="sessions">
    <div class="panel-row">
      <label>Search <input type="search" placeholder="id begins with" value=${prefix} onInput=${search} /></label>
      <button type="button" class="button" onClick=${() => look()}>Refresh</button>
      ${!lane.session && html`<${Keep} lane=${lane} onKeep=${onKeep} />`}
    </div>
    ${page?.problem && html`<p class="warning" role="alert">${page.problem}</p>`}
    ${page && !page.problem && html`<${Table} page=${page} lane=${lane} prefix=${prefix} onAttach=${onAttach} />`}
    ${page?.after && html`<button type="button" class="button" onClick=${() => look(page.after)}>More</button>`}
  </div>`;
}

function Keep({ lane, onKeep }) {
  const [id, setId] = useState("");
  const submit = (event) => {
    event.preventDefault();
    onKeep(id);
  };
  return html`<form class="keep" onSubmit=${submit}>
    <label>New session <input type="text" placeholder="its id" value=${id} required maxlength="200" autocomplete="off"
      onInput=${(event) => setId(event.target.value)} /></label>
    <button type="submit" class="button" disabled=${!id || lane.events.length === 0}>Send this sequence to it</button>
  </form>`;
}

function Table({ page, lane, prefix, onAttach }) {
  if (page.sessions.length === 0)
    return html`<p class="quiet">No live session of ${lane.model.name}${prefix ? ` has an id that begins with ${prefix}` : " yet"}.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Live sessions"><table>
    <thead><tr><th scope="col">session</th><th scope="col">step</th><th scope="col">version</th><th scope="col">expires</th><th scope="col">bytes</th><td></td></tr></thead>
    <tbody>${page.sessions.map(
      (each) => html`<tr key=${each.session} class=${each.session === lane.session?.id ? "on" : ""}>
        <th scope="row" title=${each.session}>${inText(each.session)}</th><td>${each.step}</td><td>${each.model_version}</td>
        <td title=${each.expires_at}>${untilText(each.expires_at)}</td><td>${each.record_bytes}</td>
        <td><button type="button" class="button" aria-label="Open session ${each.session}" onClick=${() => onAttach(each.session)}>Open</button></td></tr>`,
    )}</tbody></table></div>`;
}

function untilText(time) {
  const seconds = (Date.parse(time) - Date.now()) / 1000;
  if (seconds < 60) return `in ${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3600) return `in ${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `in ${Math.round(seconds / 3600)} h`;
  return `in ${Math.round(seconds / 86_400)} days`;
}
