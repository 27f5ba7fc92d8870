// The page: passes the events of the live channel to the parts that draw them.

import { Agents } from "./agents.js";
import { Announcer } from "./announce.js";
import { ask, pathOf } from "./api.js";
import { colourOf, MOST_STACKED, Shares } from "./charts.js";
import { Configuration } from "./config.js";
import { Decisions } from "./decisions.js";
import { byId, el, keyed, say, show } from "./dom.js";
import { age, count, time } from "./format.js";
import { Live } from "./live.js";
import { Past } from "./past.js";
import { Tasks } from "./tasks.js";
import { theme } from "./theme.js";

const MODES = {
  off: "The server wants nothing: agents stay as they are, so there is nothing to pause.",
  random: "The most important task wanders by chance, the others take the rest.",
  manual: "The sliders set the demand; they began with what was wanted.",
  queue: "The length of the queues decides, twice a second.",
};
const DRAW_MS = 500;
const LEAST_S = 20;
const MANY = 20; // tasks; above that, those out of view are not laid out, and nothing is animated
const FIRST_USER = "5k5gk";

/** What the mode and the pause do, and to which agents they do nothing. */
function hintOf({ mode, paused, configured, alone, agents }) {
  if (!configured) return "Write a configuration first, below.";
  if (alone) {
    const these = agents.connected === 1 ? "This agent decides by itself" : "These agents decide by themselves";
    return `${these} (LOCAL): neither the mode nor a pause has an effect.`;
  }
  const hint = paused ? "Paused: agents get no demand, and stay as they are." : MODES[mode];
  if (!agents.local) return hint;
  return `${hint} ${count(agents.local, "agent")} that decide${agents.local === 1 ? "s" : ""} alone (LOCAL) go${agents.local === 1 ? "es" : ""} on.`;
}

class Page {
  constructor() {
    this.announcer = new Announcer();
    const tell = (text) => this.announcer.tell(text);
    const failed = (text) => this.failed(text);
    this.past = new Past();
    this.config = new Configuration({ tell, failed });
    this.tasks = new Tasks({ edit: (app) => this.config.edit(app), failed }, this.past);
    this.agents = new Agents(tell);
    this.decisions = new Decisions();
    this.shares = new Shares(byId("shares"));
    this.state = null;
    this.drawing = 0;
    this.connected = null;
    this.offset = 0;
    this.hello = { server: "", instance: "", token: false };
    this.themes = 0;
    this.span = 120;
    theme(() => {
      this.themes += 1;
      this.plot();
    });
    this.live = new Live({
      hello: (hello) => this.greet(hello),
      users: (users) => this.users(users),
      state: (state) => this.take(state),
      decisions: ({ decisions }) => this.decided(decisions),
      connected: (connected) => this.connection(connected),
      refused: (why) => this.failed(`Nothing can be shown of "${this.user}": ${why}.`),
    });
    this.listen();
    setInterval(() => this.tick(), DRAW_MS);
  }

  get user() {
    return this.live.user;
  }

  /** Shows the user that the address names, else the first that has an agent. */
  async begin() {
    let name = new URLSearchParams(location.search).get("user");
    try {
      if (!name) name = (await ask("GET", "/api/users")).users[0]?.user;
    } catch {
      // The live channel shows that the server is away, and retries.
    }
    this.watch(name || FIRST_USER);
  }

  watch(user) {
    this.state = null;
    this.past.clear();
    this.decisions.clear();
    this.live.watch(user);
    document.title = `${user} · Microscaling`;
  }

  // Events

  greet(hello) {
    if (this.hello.server && this.hello.server !== hello.server) {
      this.failed(`The server has changed to version ${hello.server}: reload this page to get the one that belongs to it.`);
    }
    this.hello = hello;
    this.offset = hello.now - Date.now();
    show(byId("logout"), hello.token);
    this.remember();
  }

  /** Loads the history before this connection. */
  async remember() {
    const user = this.user;
    try {
      const history = await ask("GET", pathOf(user, "history"));
      if (user === this.user) this.past.load(history);
      this.plot();
    } catch {
      // without a history the charts begin now
    }
  }

  take(state) {
    if (state.user !== this.user) return;
    this.state = state;
    this.offset = state.now - Date.now();
    this.past.take(state);
    if (!this.drawing) this.drawing = requestAnimationFrame(() => this.draw());
  }

  /** Draws the last state. Called once per frame, also if several states have come since the last one. */
  draw() {
    this.drawing = 0;
    const { state } = this;
    if (!state) return;
    show(byId("main"), true);
    this.tasks.draw(state, this.user);
    this.decisions.order(state.tasks);
    this.agents.draw(state, this.hello);
    this.agents.tick(state.now);
    this.modes(state);
    show(byId("busy"), state.lateSeconds > 0);
    say(byId("busy-late"), String(state.lateSeconds));
    this.legend(state);
    show(byId("no-tasks"), state.tasks.length === 0);
    document.body.classList.toggle("many", state.tasks.length > MANY);
    this.seen();
    this.config.follow(this.user, state.version, false);
  }

  /** Hides charts without data. */
  seen() {
    const any = this.past.first < Infinity;
    show(byId("no-data"), !any);
    for (const id of ["chart-head", "shares", "shares-key"]) show(byId(id), any);
  }

  decided(decisions) {
    const fresh = this.decisions.take(decisions, `${this.user}/${this.hello.instance}`);
    this.announcer.decided(fresh.filter(({ at }) => at >= this.hello.now)); // not those before the page was opened
  }

  connection(connected) {
    if (connected === this.connected) return;
    const before = this.connected;
    this.connected = connected;
    this.lostAt = connected ? 0 : Date.now();
    document.body.classList.toggle("away", !connected);
    say(byId("connection"), connected ? "live" : "reconnecting");
    show(byId("away"), !connected);
    if (before !== null) this.announcer.tell(connected ? "Connected to the server again." : "The server is away. Trying to reconnect.");
  }

  users({ users, more }) {
    const select = byId("user");
    const names = users.map(({ user, agents }) => [user, agents ? `${user} (${count(agents, "agent")})` : user]);
    if (!names.some(([name]) => name === this.user)) names.unshift([this.user, this.user]);
    const options = [...names, ["", more ? `another of ${more} more …` : "another …"]];
    keyed(
      select,
      options,
      ([value]) => `u${value}`,
      ([value]) => el("option", { value }),
      (option, [, text]) => say(option, text),
    );
    select.value = this.user;
  }

  // Drawing

  now() {
    return Date.now() + this.offset;
  }

  tick() {
    if (!this.state) return;
    this.agents.tick(this.now());
    if (!this.connected && this.lostAt) say(byId("away-since"), age(Date.now() - this.lostAt));
    if (!document.hidden) this.plot();
  }

  plot() {
    if (!this.state) return;
    const now = this.connected ? this.now() / 1000 : this.state.now / 1000;
    const tasks = this.state.tasks.map(({ app }, index) => ({ app, colour: colourOf(index) }));
    // With less history than was chosen, time fills the chart from its left edge.
    const span = Math.min(this.span, Math.max(LEAST_S, now - this.past.first));
    this.shares.draw(this.past, tasks, now, span, this.themes);
    this.tasks.plot(this.past, now, Math.min(span, 3600), this.themes);
  }

  modes({ mode, paused, configured, agents }) {
    for (const radio of document.querySelectorAll("input[name=mode]")) {
      radio.checked = radio.value === (this.choosing ?? mode);
      radio.disabled = !configured;
    }
    const pause = byId("pause");
    const alone = agents.connected > 0 && agents.local === agents.connected;
    // Without an effect it could not be pressed in good faith; a pause that is on can always be ended.
    pause.disabled = !configured || (!paused && (alone || mode === "off"));
    pause.dataset.paused = paused;
    say(byId("pause-text"), paused ? "Resume" : "Pause");
    say(byId("mode-hint"), hintOf({ mode, paused, configured, alone, agents }));
    document.body.classList.toggle("paused", paused);
  }

  legend({ tasks }) {
    keyed(
      byId("legend"),
      tasks.length > MOST_STACKED ? [...tasks.slice(0, MOST_STACKED), { app: "others" }] : tasks,
      ({ app }) => app,
      ({ app }) => el("li", {}, el("i", {}), el("span", { text: app })),
      (item, _, index) => item.style.setProperty("--c", `var(${colourOf(index)})`),
    );
    const now = tasks.filter(({ reported }) => reported).map(({ app, running, demand }) => `${app} ${running} of ${demand} wanted`);
    byId("shares").setAttribute("aria-label", `Containers over time, stacked, against the cap. Now: ${now.join(", ") || "nothing"}`);
  }

  // Actions of people

  listen() {
    for (const radio of document.querySelectorAll("input[name=mode]")) {
      radio.addEventListener("change", () => this.setMode(radio.value));
    }
    for (const radio of document.querySelectorAll("input[name=span]")) {
      radio.addEventListener("change", () => {
        this.span = Number(radio.value);
        this.plot();
      });
    }
    byId("pause").addEventListener("click", () => this.pause());
    byId("notice-close").addEventListener("click", () => show(byId("notice"), false));
    byId("user").addEventListener("change", (event) => this.choose(event.target.value));
    byId("user-form").addEventListener("submit", () => this.choose(byId("user-name").value.trim()));
    byId("user-cancel").addEventListener("click", () => byId("user-dialog").close());
    byId("user-dialog").addEventListener("close", () => (byId("user").value = this.user));
    window.addEventListener("popstate", () => this.begin());
  }

  choose(name) {
    if (!name) {
      byId("user-name").value = "";
      byId("user-dialog").showModal();
      return;
    }
    history.pushState(null, "", `/?user=${encodeURIComponent(name)}`);
    this.watch(name);
  }

  async setMode(mode) {
    this.choosing = mode;
    try {
      this.take(await ask("PUT", pathOf(this.user, "mode"), { mode }));
      this.announcer.tell(MODES[mode]);
    } catch (refusal) {
      this.failed(`The mode was not changed: ${refusal.message}.`);
    } finally {
      this.choosing = undefined;
      if (this.state) this.modes(this.state);
    }
  }

  async pause() {
    const paused = byId("pause").dataset.paused !== "true";
    try {
      this.take(await ask("PUT", pathOf(this.user, "paused"), { paused }));
      this.announcer.tell(paused ? "Paused." : "Resumed.");
    } catch (refusal) {
      this.failed(`Not ${paused ? "paused" : "resumed"}: ${refusal.message}.`);
    }
  }

  failed(text) {
    say(byId("notice-text"), `${time(Date.now())} ${text}`);
    show(byId("notice"), true);
  }
}

new Page().begin();
