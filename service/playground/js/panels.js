/** Panels for operators: live sessions, the request, the training report. */

import { html, useState } from "../vendor/htm-preact.js";
import { ReportPanel } from "./report.js";
import { RequestPanel } from "./request.js";
import { SessionsPanel } from "./sessions.js";

const TITLES = { request: "Request", sessions: "Sessions", report: "Training report" };

export function Panels({ bench, state }) {
  const [shown, setShown] = useState("request");
  const lane = state.lanes[0];
  return html`<section class="card panels" aria-label="For operators">
    <div class="tabs" role="group" aria-label="Panels">${Object.entries(TITLES).map(
      ([name, title]) =>
        html`<button key=${name} type="button" aria-pressed=${name === shown} onClick=${() => setShown(name)}>${title}</button>`,
    )}</div>
    ${shown === "request" && html`<${RequestPanel} calls=${state.calls} />`}
    ${shown === "sessions" && html`<${SessionsPanel} lane=${lane} onAttach=${(id) => bench.attach(id)} onKeep=${(id) => bench.keep(id)} />`}
    ${shown === "report" && html`<${ReportPanel} model=${lane.model} />`}
  </section>`;
}
