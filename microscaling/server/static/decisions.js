// The last decisions with their reasons, newest first.

import { colourOf } from "./charts.js";
import { byId, el, keyed, say, show } from "./dom.js";
import { time } from "./format.js";

const MOST = 100;

export class Decisions {
  constructor() {
    this.place = byId("decisions");
    this.clear();
  }

  clear() {
    this.kept = [];
    this.instance = "";
    this.colours = new Map();
  }

  /** Adds decisions; returns the new ones among them. Their ids begin again with each instance of the server. */
  take(decisions, instance) {
    if (instance !== this.instance) this.kept = [];
    const last = this.kept[0]?.id ?? 0;
    const fresh = decisions.filter(({ id }) => id > last);
    this.kept = [...fresh.toReversed(), ...this.kept].slice(0, MOST);
    this.instance = instance;
    this.draw();
    return fresh;
  }

  /** Takes the colours from the order of the tasks. */
  order(tasks) {
    const before = JSON.stringify([...this.colours]);
    this.colours = new Map(tasks.map(({ app }, index) => [app, colourOf(index)]));
    if (before !== JSON.stringify([...this.colours])) this.draw();
  }

  draw() {
    show(byId("no-decisions"), this.kept.length === 0);
    keyed(
      this.place,
      this.kept,
      ({ id }) => `${this.instance}/${id}`,
      (decision) => this.make(decision),
      (item, { app }) => item.style.setProperty("--c", `var(${this.colours.get(app) ?? "--other"})`),
    );
  }

  make({ at, app, before, after, reason }) {
    const when = el("time", { datetime: new Date(at).toISOString(), text: time(at) });
    const change = el("span", { class: "change" });
    say(change, `${before} → ${after}`);
    change.setAttribute("aria-label", `from ${before} to ${after}`);
    change.setAttribute("role", "img");
    const head = el("p", { class: "decision-head" }, el("b", { class: "app", text: app }), change, when);
    return el("li", { class: after > before ? "up" : "down" }, head, reason ? el("p", { class: "why muted", text: reason }) : null);
  }
}
