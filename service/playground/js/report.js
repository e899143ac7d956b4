/** The training report: measured quality with its baselines, and how it was trained. */

import { html } from "../vendor/htm-preact.js";
import { hasApiKey, modelAddress } from "./api.js";
import { formatNumber } from "./model.js";

export function ReportPanel({ model }) {
  const { report } = model;
  return html`<div class="report">
    ${report.metrics.length === 0 ? html`<p class="quiet">This version has no measured metrics.</p>` : html`<${Metrics} metrics=${report.metrics} />`}
    ${report.hasPage && html`<${PageLink} model=${model} />`}
    <dl class="facts">
      <dt>network</dt><dd>${model.cell}, ${model.units.join(" and ")} units, memory of ${report.memoryBytes} bytes</dd>
      <dt>version</dt><dd>${model.servedVersion}${report.createdAt && `, exported ${report.createdAt}`}</dd>
      ${Object.entries(report.packages).map(([name, version]) => html`<dt key=${name}>${name}</dt><dd>${version}</dd>`)}
    </dl>
    ${
      report.config &&
      html`<details><summary>Training configuration</summary>
      <pre tabindex="0" aria-label="Training configuration"><code>${JSON.stringify(report.config, null, 2)}</code></pre></details>`
    }
  </div>`;
}

/** The page with plots and examples. A browser sends no key where it follows a link. */
function PageLink({ model }) {
  const address = `${modelAddress({ name: model.name, version: model.servedVersion })}/report`;
  if (hasApiKey()) return html`<p class="quiet">The whole report: GET ${address} with your key.</p>`;
  return html`<p><a href=${address} target="_blank" rel="noopener">The whole training report, with plots and examples</a></p>`;
}

function Metrics({ metrics }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Metrics"><table>
    <thead><tr><th scope="col">metric</th><th scope="col">value</th><th scope="col">baselines</th></tr></thead>
    <tbody>${metrics.map(
      (
        metric,
      ) => html`<tr key=${metric.name}><th scope="row">${metric.name} <small>${metric.unit}, ${metric.better} is better</small></th>
        <td><b>${formatNumber(metric.value)}</b></td>
        <td>${Object.entries(metric.baselines ?? {})
          .map(([name, value]) => `${name} ${formatNumber(value)}`)
          .join(" · ")}</td></tr>`,
    )}</tbody></table></div>`;
}
