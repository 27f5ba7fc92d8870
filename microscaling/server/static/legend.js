// The names, colours and values of the tasks in the chart of shares, at the moment or now. A click shows one alone.

import { colourOf, MOST_STACKED } from "./charts.js";
import { byId, el, keyed, say, show } from "./dom.js";
import { date, number, time } from "./format.js";

const MOST_NAMED = 40;

export class Legend {
  /** `choose(app)` is called with a task that is to be shown alone; empty: all again. */
  constructor(moment, past, choose) {
    this.moment = moment;
    this.past = past;
    this.choose = choose;
    this.place = byId("legend");
    this.tasks = [];
    byId("moment-clear").addEventListener("click", () => moment.pin(null));
  }

  draw(tasks, chosen) {
    this.tasks = tasks;
    keyed(
      this.place,
      tasks.slice(0, MOST_NAMED),
      ({ app }) => app,
      ({ app }) => this.make(app),
      (item, { app }, index) => {
        item.style.setProperty("--c", `var(${colourOf(index)})`);
        item.firstElementChild.setAttribute("aria-pressed", String(app === chosen));
      },
    );
    const left = tasks.length - MOST_NAMED;
    const grey = tasks.length > MOST_STACKED ? `The grey area is all from ${tasks[MOST_STACKED].app} on. ` : "";
    say(byId("legend-more"), grey + (left > 0 ? `${number(left)} more are not named here.` : ""));
    this.values();
  }

  make(app) {
    const button = el("button", { type: "button", class: "quiet", title: `Show ${app} alone, or all again` }, el("i"), el("span", { text: app }), el("b"));
    button.addEventListener("click", () => this.choose(button.getAttribute("aria-pressed") === "true" ? "" : app));
    return el("li", {}, button);
  }

  /** The sentence about the moment, for people who do not see the chart. */
  values() {
    const { at } = this.moment;
    const then = at === null ? null : this.past.at(at);
    const words = this.tasks.map(({ app, reported, running, demand }) => {
      if (at === null) return [app, reported ? running : null, demand];
      return [app, then?.of(app, "running") ?? null, then?.of(app, "demand") ?? null];
    });
    for (const [i, item] of [...this.place.children].entries()) {
      const [, running, demand] = words[i];
      say(item.firstElementChild.lastElementChild, running === null ? "–" : `${number(running)} of ${number(demand)}`);
    }
    const when = at === null ? "Now" : `${date(at * 1000)}${time(at * 1000)}`;
    say(byId("moment-time"), `${when}, running of wanted:`);
    show(byId("moment-clear"), this.moment.pinned !== null);
    const told = words.filter(([, running]) => running !== null);
    const each = told.map(([app, running, demand]) => `${app} ${running} of ${demand} wanted`).join(", ");
    return `${when}: ${each || "nothing is known"}`;
  }
}
