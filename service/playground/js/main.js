/** Entry point: open the place that the address names, and keep the address up to date. */

import { html, render } from "../vendor/htm-preact.js";
import { watchCalls } from "./api.js";
import { App } from "./app.js";
import { placeOf, readPlace, writePlace } from "./place.js";
import { currentTheme, followTheme, toggleTheme } from "./theme.js";
import { Workbench } from "./workbench.js";

const root = document.getElementById("app");
let isDrawing = false;
let resting = 0;
let address = null;
const bench = new Workbench(draw);

function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    keepPlace();
    render(
      html`<${App} bench=${bench} state=${bench.state} theme=${currentTheme()} onTheme=${changeTheme} onOpen=${open} onKey=${changeKey} />`,
      root,
    );
  });
}

// Browsers refuse more than some 200 changes of the address in half a minute.
function keepPlace() {
  clearTimeout(resting);
  resting = setTimeout(writeAddress, 200);
}

function writeAddress() {
  clearTimeout(resting);
  if (bench.state.status !== "ready" || bench.state.lanes.length === 0) return;
  // A link was followed since, and is about to be opened.
  if (location.hash !== address) return;
  const hash = writePlace(placeOf(bench.state));
  if (hash !== location.hash) history.replaceState(null, "", hash);
  address = location.hash;
}

function changeTheme() {
  toggleTheme();
  draw();
}

function open() {
  address = location.hash;
  bench.open(readPlace(address));
}

// Answers to another key may be another tenant's.
function changeKey() {
  writeAddress(); // what was changed a moment ago is part of the place
  bench.change({ calls: [] });
  open();
}

watchCalls((call) => bench.noteCall(call));
followTheme(draw);
addEventListener("hashchange", open);
addEventListener("pagehide", writeAddress);
root.textContent = "";
open();
