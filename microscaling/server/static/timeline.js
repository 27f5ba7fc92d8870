// The one time axis of all charts: its length, its moment, and the chart of the shares.

import { colourOf, Shares } from "./charts.js";
import { byId, say, show } from "./dom.js";
import { Legend } from "./legend.js";
import { Moment } from "./moment.js";

const SPANS = [120, 600, 3600, 86400];
const LEAST_S = 20;
const STEPS = 60;

export class Timeline {
  /** `on.choose(app)`: a task is to be shown alone; `on.moved()`: another span, or another moment. */
  constructor(past, on) {
    this.past = past;
    this.on = on;
    this.span = SPANS[0];
    this.pinned = null;
    this.now = 0;
    this.moment = new Moment();
    this.legend = new Legend(this.moment, past, on.choose);
    this.place = byId("shares");
    this.shares = new Shares(this.place, this.moment);
    this.moment.listeners.push(() => this.mark());
    this.place.addEventListener("keydown", (event) => this.key(event));
    for (const radio of document.querySelectorAll("input[name=span]")) {
      radio.addEventListener("change", () => this.choose(Number(radio.value)));
    }
  }

  choose(span) {
    this.span = SPANS.includes(span) ? span : SPANS[0];
    for (const radio of document.querySelectorAll("input[name=span]")) radio.checked = Number(radio.value) === this.span;
    this.on.moved();
  }

  /** Shows a moment (seconds), in the shortest time that has it. */
  go(at) {
    this.moment.pin(at);
    if (this.now - at > this.span * 0.95) this.choose(SPANS.find((span) => this.now - at < span * 0.95) ?? SPANS.at(-1));
    else this.on.moved();
    this.place.scrollIntoView({ block: "nearest" });
  }

  /** Follows the tasks of a state; `alone` is the name of the only one to be drawn. */
  follow(tasks, alone) {
    this.tasks = tasks;
    this.alone = alone;
    this.legend.draw(tasks, alone);
    const any = this.past.first < Infinity;
    show(byId("no-data"), !any);
    for (const id of ["chart-head", "shares", "shares-key"]) show(byId(id), any);
    const one = tasks.some(({ app }) => app === alone);
    say(byId("key-running"), one || tasks.length < 2 ? "running" : "running, one on the other");
  }

  /** Draws at the time `now` (seconds). Returns the seconds that all charts show. */
  plot(now, theme) {
    this.now = now;
    // With less history than was chosen, time fills the chart from its left edge.
    const shown = Math.min(this.span, Math.max(LEAST_S, now - this.past.first));
    const tasks = this.tasks.map(({ app }, index) => ({ app, colour: colourOf(index) }));
    this.shares.draw(this.past, tasks, this.alone, now, shown, theme);
    this.shown = shown;
    this.describe();
    return shown;
  }

  mark() {
    this.shares.mark();
    this.describe();
    if (this.moment.pinned === this.pinned) return;
    this.pinned = this.moment.pinned;
    this.on.moved();
  }

  describe() {
    const words = this.legend.values();
    const { at } = this.moment;
    const most = Math.round(this.shown ?? this.span);
    this.place.setAttribute("aria-valuemax", most);
    this.place.setAttribute("aria-valuenow", at === null ? 0 : Math.min(most, Math.max(0, Math.round(this.now - at))));
    this.place.setAttribute("aria-valuetext", words);
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    const from = this.now - this.shown;
    if (steps) this.moment.pin(Math.min(this.now, Math.max(from, (this.moment.at ?? this.now) + (steps * this.shown) / STEPS)));
    else if (event.key === "Home") this.moment.pin(from);
    else if (event.key === "Escape" || event.key === "End") this.moment.pin(null);
    else return;
    event.preventDefault();
  }
}
