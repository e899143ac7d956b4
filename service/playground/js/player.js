/** The player: the selection moves through the events. */

import { html, useEffect, useState } from "../vendor/htm-preact.js";

const SPEEDS = [0.5, 1, 2, 5, 20];

export function Player({ count, selected, onSelect }) {
  const [isPlaying, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(1);
  useEffect(() => {
    if (!isPlaying) return undefined;
    if (selected >= count - 1) {
      setPlaying(false);
      return undefined;
    }
    const timer = setTimeout(() => onSelect(selected + 1), 1000 / speed);
    return () => clearTimeout(timer);
  }, [isPlaying, speed, selected, count]);
  const play = () => {
    if (!isPlaying && selected >= count - 1) onSelect(0);
    setPlaying(!isPlaying);
  };
  return html`<div class="player" role="group" aria-label="Player">
    <${Control} label="First" path="M5 4v12M16 4l-9 6 9 6z" isOff=${selected <= 0} onClick=${() => onSelect(0)} />
    <${Control} label="Step back" path="M14 4l-9 6 9 6z" isOff=${selected <= 0} onClick=${() => onSelect(selected - 1)} />
    <${Control} label=${isPlaying ? "Pause" : "Play"} path=${isPlaying ? "M6 4v12M14 4v12" : "M5 3l12 7-12 7z"} isOff=${count < 2} onClick=${play} />
    <${Control} label="Step" path="M6 4l9 6-9 6z" isOff=${selected >= count - 1} onClick=${() => onSelect(selected + 1)} />
    <span class="counter number" aria-live=${isPlaying ? "off" : "polite"}>${count === 0 ? 0 : selected + 1} / ${count}</span>
    <select class="button" aria-label="Speed, events a second" value=${speed} onChange=${(event) => setSpeed(Number(event.target.value))}>
      ${SPEEDS.map((each) => html`<option key=${each} value=${each}>${each} a second</option>`)}
    </select>
  </div>`;
}

function Control({ label, path, isOff, onClick }) {
  return html`<button type="button" class="icon-button" aria-label=${label} title=${label} disabled=${isOff} onClick=${onClick}>
    <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><path d=${path} /></svg></button>`;
}
