/** Light or dark: the system's choice, until the button says otherwise. */

const KEY = "carryover-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export function currentTheme() {
  return document.documentElement.dataset.theme;
}

/** Follow the choice made before, or the system; `onChange` gets each new theme. */
export function followTheme(onChange) {
  const apply = () => {
    document.documentElement.dataset.theme = readChoice() ?? (system.matches ? "dark" : "light");
    onChange(currentTheme());
  };
  system.addEventListener("change", apply);
  apply();
}

/** Change to the other theme and return it. */
export function toggleTheme() {
  const next = currentTheme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Storage is refused in some private windows; the choice then lasts as long as the page.
  }
  return next;
}

function readChoice() {
  try {
    const choice = localStorage.getItem(KEY);
    return choice === "dark" || choice === "light" ? choice : null;
  } catch {
    return null;
  }
}
