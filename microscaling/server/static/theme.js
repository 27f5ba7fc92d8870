// Light or dark: the system's choice, or the person's on this machine.

import { byId } from "./dom.js";

const NEXT = { auto: "light", light: "dark", dark: "auto" };
const NAMES = { auto: "as the system", light: "light", dark: "dark" };
const KEY = "microscaling-theme";

function chosen() {
  try {
    const found = localStorage.getItem(KEY);
    return found in NEXT ? found : "auto";
  } catch {
    return "auto";
  }
}

/** Calls `changed` after each change of colours. */
export function theme(changed) {
  const button = byId("theme");
  const set = (name) => {
    document.documentElement.dataset.theme = name;
    button.title = `Colours: ${NAMES[name]}`;
    button.setAttribute("aria-label", `Colours: ${NAMES[name]}. Change to ${NAMES[NEXT[name]]}`);
    try {
      localStorage.setItem(KEY, name);
    } catch {
      // without storage the choice lasts for this visit
    }
    changed();
  };
  button.addEventListener("click", () => set(NEXT[document.documentElement.dataset.theme]));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  set(chosen());
}

const probe = document.createElement("span");
probe.hidden = true;

/** A custom property of the style sheet as a colour that a canvas understands. */
export function colour(property) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(${property})`;
  return getComputedStyle(probe).color;
}
