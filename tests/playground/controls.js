// Notes each control a page shows, and each that a test uses, by a name without data.
(() => {
  if (location.pathname.includes("/docs")) return; // the page of another library
  const CONTROL = "button, select, input, textarea, a[href], summary, canvas[tabindex]";
  const KINDS = ["column", "event-button", "chip"];

  function nameOf(control) {
    const group = control.closest("[role=group], section, header, aside")?.getAttribute("aria-label") ?? "header";
    const kind = KINDS.find((name) => control.classList.contains(name));
    const label = control.labels?.[0]?.firstChild?.textContent;
    const pasted = control.localName === "textarea" ? "pasted text" : null;
    const name = kind ?? pasted ?? control.getAttribute("aria-label") ?? label ?? control.textContent;
    const plain = name.trim().replace(/^(Open session|Heat map of|Add|Copy|Copied|Pause|Play).*/, "$1");
    return `${group.replace(/^Add .*/, "").replace(/.*, oldest first$/, "columns")} > ${control.localName} ${plain}`.replace(/\d+/g, "#");
  }

  const send = (what, control) => window.noteControl?.(what, nameOf(control));
  const seen = new Set();
  const look = () => {
    for (const control of document.querySelectorAll(CONTROL)) {
      const name = nameOf(control);
      if (seen.has(name)) continue;
      seen.add(name);
      send("seen", control);
    }
  };
  const use = (event) => {
    const control = event.target.closest?.(CONTROL);
    if (control) send("used", control);
  };
  for (const type of ["click", "input", "change"]) document.addEventListener(type, use, true);
  document.addEventListener("keydown", (event) => event.key.startsWith("Arrow") && use(event), true);
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
})();
