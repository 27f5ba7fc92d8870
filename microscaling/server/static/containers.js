// The single containers of a task, and its last failure.

import { ask, pathOf } from "./api.js";
import { el, keyed, say, show } from "./dom.js";
import { age, count, duration } from "./format.js";

const EVERY_MS = 2000;
const COLUMNS = ["Name", "Id", "State", "Runs for"];

/** The list of a task's containers, which is loaded while it is open. */
export class Containers {
  constructor() {
    this.summary = el("summary", { text: "Containers" });
    this.rows = el("tbody");
    this.note = el("p", { class: "muted" });
    this.caption = el("caption", { class: "unseen" });
    const head = el("thead", {}, el("tr", {}, ...COLUMNS.map((text) => el("th", { scope: "col", text }))));
    this.table = el("table", { hidden: true }, this.caption, head, this.rows);
    this.element = el("details", { class: "containers", hidden: true }, this.summary, this.note, this.table);
    this.timer = 0;
    this.element.addEventListener("toggle", () => this.load());
  }

  /** Follows a state; `agent` is the number of the one that is shown, or 0 for all. */
  follow(user, { app, reported, running, requested, frozen }, agent) {
    this.user = user;
    this.app = app;
    this.agent = agent;
    show(this.element, reported && running + requested + frozen > 0);
    say(this.caption, `Containers of ${app}`);
  }

  async load() {
    clearTimeout(this.timer);
    if (!this.element.open || !this.element.isConnected) return;
    if (!document.hidden && !this.element.hidden) {
      try {
        const { agents } = await ask("GET", `${pathOf(this.user, "containers")}?app=${encodeURIComponent(this.app)}`);
        this.draw(this.agent ? agents.filter(({ agent }) => agent === this.agent) : agents);
      } catch (refusal) {
        say(this.note, `They cannot be shown: ${refusal.message}.`);
        show(this.note, true);
      }
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), EVERY_MS);
  }

  draw(agents) {
    const told = agents.filter(({ containers }) => containers);
    const rows = told.flatMap(({ agent, name, containers }) =>
      containers.map((container) => ({ ...container, agent, on: told.length > 1 ? ` of ${name || `agent ${agent}`}` : "" })),
    );
    const silent = agents.filter(({ answered }) => !answered).length;
    const notes = [
      silent > 0 && `${count(silent, "agent")} did not answer.`,
      agents.some(({ answered, containers }) => answered && !containers) && "The orchestrator of the agent tells their number only.",
      !agents.length && "The agent tells their number only.",
      told.length > 0 && !rows.length && "None.",
    ];
    say(this.note, notes.filter(Boolean).join(" "));
    show(this.note, Boolean(this.note.textContent));
    show(this.table, rows.length > 0);
    keyed(
      this.rows,
      rows,
      ({ agent, id }, index) => `${agent}/${id}/${id.startsWith("(") ? index : ""}`,
      () => el("tr", {}, ...COLUMNS.map(() => el("td"))),
      (row, { name, id, state, seconds, on }) => {
        const texts = [(name || "–") + on, id, state, seconds === null ? "–" : duration(seconds)];
        for (const [i, text] of texts.entries()) say(row.children[i], text);
      },
    );
  }
}

/** The last failure of a task's containers. */
export class Failure {
  constructor() {
    this.words = el("p");
    this.lines = el("pre");
    this.element = el("div", { class: "failing", hidden: true }, this.words, this.lines);
  }

  draw(failing) {
    show(this.element, Boolean(failing));
    if (!failing) return;
    const { why, exitCode, lines, seconds, retrySeconds } = failing;
    const words = [
      `Last failure ${age(seconds * 1000)}: ${why}.`,
      exitCode !== null && !why.includes(`code ${exitCode}`) && `Exit code ${exitCode}.`,
      retrySeconds !== null && `Next try in ${duration(retrySeconds)}.`,
      lines && "Its last lines:",
    ];
    say(this.words, words.filter(Boolean).join(" "));
    say(this.lines, lines);
    show(this.lines, Boolean(lines));
  }
}
