// The page: passes the events of the live channel to the parts that draw them.

import { Agents } from "./agents.js";
import { Announcer } from "./announce.js";
import { chosen, keep, linkTo } from "./address.js";
import { ask, pathOf } from "./api.js";
import { Configuration } from "./config.js";
import { Decisions } from "./decisions.js";
import { byId, el, keyed, say, show } from "./dom.js";
import { age, count, minute, time } from "./format.js";
import { Live } from "./live.js";
import { Past } from "./past.js";
import { Tasks } from "./tasks.js";
import { theme } from "./theme.js";
import { Timeline } from "./timeline.js";

const MODES = {
  off: "The server wants nothing: agents stay as they are, so there is nothing to pause.",
  random: "The most important task wanders by chance, the others take the rest.",
  manual: "The sliders set the demand; they began with what was wanted.",
  queue: "The length of the queues decides, twice a second.",
};
const DRAW_MS = 500;
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

const NAMED = { page: "the page", token: "a program with the token", program: "a program" };

/** By whom a setting was changed last, in words; "" if that is not known. */
const by = (what, origin) => origin && `${what} by ${NAMED[origin.by] ?? origin.by} at ${origin.address}, ${minute(origin.at)}.`;

function setBy(mode, paused, set) {
  const words = [by("Mode set", set.mode), paused && by("Paused", set.paused), mode === "manual" && by("Sliders moved", set.demand)];
  return words.filter(Boolean).join(" ");
}

class Page {
  constructor() {
    this.announcer = new Announcer();
    const tell = (text) => this.announcer.tell(text);
    const failed = (text) => this.failed(text);
    this.past = new Past();
    this.config = new Configuration({ tell, failed });
    const choose = (app) => this.choose({ task: app });
    this.timeline = new Timeline(this.past, { choose, moved: () => this.moved() });
    const { moment } = this.timeline;
    moment.listeners.push(() => this.tasks.mark());
    const link = (task) => linkTo({ ...this.chosen, task });
    this.tasks = new Tasks({ edit: (app) => this.config.edit(app), failed, choose, link }, this.past, moment);
    this.agents = new Agents({ tell, only: (agent) => this.choose({ agent }) });
    this.decisions = new Decisions({ choose, go: (at) => this.timeline.go(at / 1000) });
    this.chosen = {};
    this.state = null;
    this.drawing = 0;
    this.connected = null;
    this.offset = 0;
    this.hello = { server: "", instance: "", token: false };
    this.themes = 0;
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

  /** Shows what the address names; without a user the first that has an agent. */
  async begin() {
    const { user, agent, task, at, span } = chosen();
    let name = user;
    try {
      if (!name) name = (await ask("GET", "/api/users")).users[0]?.user;
    } catch {
      // The live channel shows that the server is away, and retries.
    }
    this.chosen = { user: name || FIRST_USER, agent, task };
    this.watch();
    this.timeline.choose(Number(span));
    this.timeline.moment.pin(Number(at) > 0 ? Number(at) / 1000 : null);
    this.revealing = task;
  }

  watch() {
    this.state = null;
    this.past.clear();
    this.decisions.clear();
    this.live.watch(this.chosen.user, this.chosen.agent);
    document.title = `${this.user} · Microscaling`;
  }

  /** Changes the user, the agent or the task that is shown. */
  choose(choices) {
    const before = this.chosen;
    this.chosen = { ...before, ...choices };
    const another = this.chosen.user !== before.user || this.chosen.agent !== before.agent;
    if (this.chosen.user !== before.user) this.timeline.moment.pin(null);
    this.remember(another);
    if (another) this.watch();
    else if (this.state) {
      this.draw();
      this.plot();
    }
  }

  /** Writes all choices into the address. */
  remember(again = false) {
    const { span, moment } = this.timeline;
    keep({ ...this.chosen, at: moment.pinned && String(Math.round(moment.pinned * 1000)), span: span > 120 && String(span) }, again);
  }

  moved() {
    if (!this.state) return;
    this.remember();
    this.follow();
    this.plot();
  }

  follow() {
    const { agents, agent } = this.state;
    const only = agents.shown.find(({ id }) => id === agent) ?? null;
    this.decisions.follow(this.state.tasks, this.chosen.task, only, (this.timeline.moment.pinned ?? 0) * 1000);
  }

  // Events

  greet(hello) {
    if (this.hello.server && this.hello.server !== hello.server) {
      this.failed(`The server has changed to version ${hello.server}: reload this page to get the one that belongs to it.`);
    }
    this.hello = hello;
    this.offset = hello.now - Date.now();
    show(byId("logout"), hello.token);
    this.load();
  }

  /** Loads the history before this connection. There is none of a single agent. */
  async load() {
    const { user, agent } = this.chosen;
    if (agent) return;
    try {
      const history = await ask("GET", pathOf(user, "history"));
      if (user === this.user && !this.chosen.agent) this.past.load(history);
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
    this.tasks.draw(state, this.user, this.chosen.task);
    this.timeline.follow(state.tasks, this.chosen.task);
    this.follow();
    this.only(state);
    this.agents.draw(state, this.hello);
    this.agents.tick(state.now);
    this.modes(state);
    show(byId("busy"), state.lateSeconds > 0);
    say(byId("busy-late"), String(state.lateSeconds));
    show(byId("no-tasks"), state.tasks.length === 0);
    document.body.classList.toggle("many", state.tasks.length > MANY);
    this.config.follow(this.user, state.version, false);
    if (this.revealing) this.tasks.reveal(this.revealing);
    this.revealing = "";
  }

  /** Says that one agent alone is shown, or that it is not there. */
  only({ agent, agents }) {
    const name = this.chosen.agent;
    show(byId("only"), Boolean(name));
    const others = `The charts begin with this view. ${count(agents.connected, "agent")} of this site in all.`;
    say(byId("only-text"), agent ? `Only the agent ${name}. ${others}` : `The agent ${name} is not connected: this is all of the site.`);
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
    const options = [...names, ["", more ? `another site of ${more} more …` : "another site …"]];
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
    if (!this.state || !this.timeline.tasks) return;
    const now = this.connected ? this.now() / 1000 : this.state.now / 1000;
    const shown = this.timeline.plot(now, this.themes);
    this.tasks.plot(this.past, now, shown, this.themes);
  }

  modes({ mode, paused, configured, agents, set }) {
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
    say(byId("config-by"), by("Saved", set.config) ?? "");
    say(byId("mode-by"), setBy(mode, paused, set));
    document.body.classList.toggle("paused", paused);
  }

  // Actions of people

  listen() {
    for (const radio of document.querySelectorAll("input[name=mode]")) {
      radio.addEventListener("change", () => this.setMode(radio.value));
    }
    byId("pause").addEventListener("click", () => this.pause());
    byId("notice-close").addEventListener("click", () => show(byId("notice"), false));
    byId("user").addEventListener("change", (event) => this.another(event.target.value));
    byId("user-form").addEventListener("submit", () => this.another(byId("user-name").value.trim()));
    byId("user-cancel").addEventListener("click", () => byId("user-dialog").close());
    byId("user-dialog").addEventListener("close", () => (byId("user").value = this.user));
    window.addEventListener("popstate", () => this.begin());
  }

  another(user) {
    if (user) {
      this.choose({ user, agent: "", task: "" });
      return;
    }
    byId("user-name").value = "";
    byId("user-dialog").showModal();
  }

  /** Sets one of the server's settings, and shows the state that follows. */
  async set(setting, body) {
    const agent = this.chosen.agent && `?agent=${encodeURIComponent(this.chosen.agent)}`;
    this.take(await ask("PUT", pathOf(this.user, setting) + agent, body));
  }

  async setMode(mode) {
    this.choosing = mode;
    try {
      await this.set("mode", { mode });
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
      await this.set("paused", { paused });
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
