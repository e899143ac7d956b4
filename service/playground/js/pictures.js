/** Drawings of events that have one, and the first letters of those that have none. */

import { html } from "../vendor/htm-preact.js";

const EYES = html`<circle cx="15" cy="19" r="1.7" class="hole" /><circle cx="25" cy="19" r="1.7" class="hole" />`;

// Looked up by names of users, of which one may be "constructor".
const PICTURES = new Map(
  Object.entries({
    bear: html`<circle cx="11" cy="11" r="5" /><circle cx="29" cy="11" r="5" /><circle cx="20" cy="21" r="13" />
    <ellipse cx="20" cy="26" rx="6" ry="5" class="hole" />${EYES}`,
    fox: html`<path d="M7 6l8 6h10l8-6-2 15-11 13L9 21z" />${EYES}`,
    sofa: html`<rect x="9" y="12" width="22" height="12" rx="4" /><rect x="5" y="19" width="30" height="10" rx="4" />
    <rect x="8" y="29" width="3" height="4" /><rect x="29" y="29" width="3" height="4" />`,
    kettle: html`<path d="M10 32c-2-11 3-17 10-17s12 6 10 17z" /><path d="M28 20l7-4v5l-5 4z" />
    <path d="M13 15c0-9 14-9 14 0" class="stroke" />`,
    squirrel: html`<path d="M27 34c8-6 9-22 1-26-4-2-8 2-6 6 2 3 5 6 3 12z" /><ellipse cx="17" cy="26" rx="8" ry="9" />
    <circle cx="13" cy="15" r="6" /><circle cx="11" cy="14" r="1.4" class="hole" />`,
    tree: html`<path d="M20 4l9 11h-5l8 9H8l8-9h-5z" /><rect x="17.5" y="24" width="5" height="11" />`,
    person: html`<circle cx="20" cy="11" r="6" /><path d="M8 35c0-11 6-15 12-15s12 4 12 15z" />`,
    blurry: html`<circle cx="20" cy="20" r="18" opacity=".3" /><circle cx="20" cy="20" r="14" opacity=".55" />
    <text x="20" y="26.5" text-anchor="middle" class="mark">?</text>`,
  }),
);

// Pictures that say what a blurry one is wear the colour of that label.
const TELLS = new Map(Object.entries({ bear: 1, fox: 1, sofa: 0, kettle: 0 }));

export function hasPicture(name) {
  return PICTURES.has(name);
}

/** An event's drawing; decorative, since the event's name stands next to it. */
export function Picture({ name, size = 40, x, y }) {
  const colour = TELLS.has(name) ? `ink-${TELLS.get(name)}` : "";
  if (hasPicture(name))
    return html`<svg class="picture ${colour}" viewBox="0 0 40 40" x=${x} y=${y} width=${size} height=${size} aria-hidden="true">${PICTURES.get(name)}</svg>`;
  return html`<svg class="picture" viewBox="0 0 40 40" x=${x} y=${y} width=${size} height=${size} aria-hidden="true">
    <rect x="3" y="3" width="34" height="34" rx="8" opacity=".18" />
    <text x="20" y="25.5" text-anchor="middle" class="initials">${[...name].slice(0, 3).join("")}</text>
  </svg>`;
}
