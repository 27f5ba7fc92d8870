// The last decisions with their reasons, newest first: of all tasks, or of one.

import { colourOf } from "./charts.js";
import { byId, el, keyed, say, show } from "./dom.js";
import { date, time } from "./format.js";

const MOST = 200;

export class Decisions {
  /** `on.go(at)` shows a moment in the charts (Unix milliseconds), `on.choose(app)` a task alone. */
  constructor(on) {
    this.on = on;
    this.place = byId("decisions");
    this.select = byId("decisions-of");
    this.select.addEventListener("change", () => on.choose(this.select.value));
    this.clear();
  }

  clear() {
    this.kept = [];
    this.instance = "";
    this.colours = new Map();
    this.app = "";
    this.agent = null;
    this.at = 0;
  }

  /** Adds decisions; returns the new ones among them. Their ids may begin again with each instance of the server. */
  take(decisions, instance) {
    if (instance !== this.instance) this.kept = [];
    const last = this.kept[0]?.id ?? 0;
    const fresh = decisions.filter(({ id }) => id > last);
    this.kept = [...fresh.toReversed(), ...this.kept].slice(0, MOST);
    this.instance = instance;
    this.draw();
    return fresh;
  }

  /** Takes the colours from the order of the tasks. `app`: the only task to show; `agent`: the only agent, as
   * {id, name}, or null; `at`: the pinned moment (Unix milliseconds), or 0. */
  follow(tasks, app, agent, at) {
    const before = JSON.stringify([[...this.colours], this.app, this.agent, this.at]);
    this.colours = new Map(tasks.map((task, index) => [task.app, colourOf(index)]));
    [this.app, this.agent, this.at] = [app, agent, at];
    keyed(
      this.select,
      ["", ...new Set([...tasks.map((task) => task.app), ...(app ? [app] : [])])],
      (value) => `o${value}`,
      (value) => el("option", { value, text: value || "all tasks" }),
      () => {},
    );
    if (this.select.value !== app && document.activeElement !== this.select) this.select.value = app;
    if (before !== JSON.stringify([[...this.colours], app, agent, at])) this.draw();
  }

  draw() {
    const { app, agent, kept } = this;
    const ofAgent = (decision) => !agent || decision.agent === agent.id || (agent.name !== "" && decision.name === agent.name);
    const shown = kept.filter((decision) => (!app || decision.app === app) && ofAgent(decision));
    say(byId("no-decisions"), kept.length ? "None of these among the last ones." : "None yet.");
    show(byId("no-decisions"), shown.length === 0);
    this.place.classList.toggle("several", new Set(kept.map(({ name }) => name)).size > 1);
    const nearest = this.at && shown.find(({ at }) => at <= this.at);
    keyed(
      this.place,
      shown,
      ({ id }) => `${this.instance}/${id}`,
      (decision) => this.make(decision),
      (item, decision) => {
        item.style.setProperty("--c", `var(${this.colours.get(decision.app) ?? "--other"})`);
        item.classList.toggle("pinned", decision === nearest);
      },
    );
  }

  make({ at, app, name, before, after, reason }) {
    const when = `${date(at)}${time(at)}`;
    const words = `${app} from ${before} to ${after}`;
    const go = el("button", { type: "button", class: "when", title: "Show this moment in the charts", "aria-label": `${when}: show ${words} in the charts` });
    go.append(el("time", { datetime: new Date(at).toISOString(), text: when }));
    const change = el("span", { class: "change", text: `${before} → ${after}`, role: "img", "aria-label": `from ${before} to ${after}` });
    const head = el("p", { class: "decision-head" }, el("b", { class: "app", text: app }), change, go);
    const on = name ? el("p", { class: "why by muted", text: `on ${name}` }) : null;
    const why = reason ? el("p", { class: "why muted", text: reason }) : null;
    const item = el("li", { class: after > before ? "up" : "down" }, head, why, on);
    // The button is for the keyboard; the pointer may hit anything of the decision, unless it selects text.
    item.addEventListener("click", () => getSelection().isCollapsed && this.on.go(at));
    return item;
  }
}
