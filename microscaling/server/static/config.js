// The configuration of one user: shown, changed, downloaded. Every change is saved at once, or refused as a whole.

import { ask, pathOf } from "./api.js";
import { byId, el, keyed, say, show } from "./dom.js";
import { AppForm } from "./form.js";
import { number } from "./format.js";

const CAP = 10;
const NEW = { name: "", priority: 1, minContainers: 1, maxContainers: CAP, ruleType: "Queue", metricType: "NSQ", config: {} };
const DEMO = [1, 2].map((priority) => ({
  name: `priority-${priority}`,
  priority,
  minContainers: 1,
  maxContainers: 9,
  ruleType: "Remainder",
  config: { image: `microscaling/priority-${priority}:latest` },
}));

export class Configuration {
  /** `tell(text)` announces to screen readers; `failed(text)` shows an error. */
  constructor({ tell, failed }) {
    this.tell = tell;
    this.failed = failed;
    this.user = "";
    this.owner = ""; // the user whose configuration is shown: another one's may still be on its way
    this.version = -1; // of the configuration that is shown: what is saved is a change of it
    this.asked = -1; // of the one that is read, or being read
    this.config = null;
    this.reading = Promise.resolve();
    this.form = new AppForm(
      (app) => this.put(app),
      () => ask("GET", "/api/schema"),
    );
    byId("add-app").addEventListener("click", () => this.add());
    byId("first-app").addEventListener("click", () => this.add());
    byId("demo-apps").addEventListener("click", () => this.try({ maxContainers: CAP, apps: DEMO }, "Saved."));
    byId("forget").addEventListener("click", () => this.forget());
    byId("cap-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.setCap();
    });
  }

  /** Reads the configuration again for another user, or after a change. */
  async follow(user, version, changed) {
    if (user === this.user && version === this.asked && !changed) return;
    this.user = user;
    this.asked = version;
    this.reading = this.read(user);
    await this.reading;
  }

  async read(user) {
    try {
      const { version: read, config } = await ask("GET", pathOf(user, "config"));
      if (user !== this.user) return;
      this.version = this.asked = read;
      this.owner = user;
      this.config = config;
      this.draw();
    } catch {
      this.asked = -1; // so that the next state leads to another read
    }
  }

  get apps() {
    return Array.isArray(this.config?.apps) ? this.config.apps : [];
  }

  get cap() {
    return this.config?.maxContainers;
  }

  draw() {
    const there = this.config !== null;
    show(byId("config-some"), there);
    show(byId("config-none"), !there);
    byId("config-json").href = pathOf(this.owner, "config.json");
    byId("config-yaml").href = pathOf(this.owner, "config.yaml");
    if (!there) return;
    this.drawCap();
    const rows = this.apps.map((app, index) => ({ app, index }));
    keyed(
      byId("apps"),
      rows,
      ({ index }) => index,
      () => this.row(),
      (row, { app, index }) => this.update(row.parts, app, index),
    );
  }

  /** Shows the cap. What a person is typing stays, until it is saved. */
  drawCap(saved = false) {
    const input = byId("cap-input");
    const typing = !saved && input === document.activeElement && input.value !== input.defaultValue;
    input.defaultValue = this.cap ?? "";
    if (typing) return;
    input.value = input.defaultValue;
    this.capProblem("");
  }

  row() {
    const parts = {
      name: el("b", {}),
      about: el("span", { class: "muted" }),
      edit: el("button", { type: "button", class: "quiet", text: "Edit" }),
      remove: el("button", { type: "button", class: "quiet", text: "Remove" }),
    };
    parts.edit.addEventListener("click", () => this.edit(parts.app.name));
    parts.remove.addEventListener("click", () => this.remove(parts));
    const row = el("li", {}, el("p", {}, parts.name, " ", parts.about), el("p", { class: "buttons" }, parts.edit, parts.remove));
    row.parts = parts;
    return row;
  }

  update(parts, app, index) {
    parts.app = app;
    parts.index = index;
    const name = String(app.name ?? "");
    say(parts.name, name);
    const least = number(Number(app.minContainers) || 0);
    const about = [`priority ${app.priority ?? 0}`, `${least} to ${number(Number(app.maxContainers) || 0)}`];
    about.push(app.metricType && app.ruleType !== "Remainder" ? `${app.ruleType} by ${app.metricType}` : "takes the rest");
    say(parts.about, about.join(" · "));
    parts.edit.setAttribute("aria-label", `Edit ${name} of the configuration`);
    parts.remove.setAttribute("aria-label", `Remove ${name}`);
  }

  add() {
    this.form.open(structuredClone(NEW), true);
  }

  async edit(name) {
    await this.reading; // the cards of the tasks may be there before the configuration
    const app = this.apps.find((one) => one.name === name);
    if (app) await this.form.open(app, false);
    else this.failed(`${name} cannot be edited: the configuration has not come. Try again.`);
  }

  async remove({ app }) {
    const sure = await this.confirm(`Remove ${app.name}?`, "Agents that run it keep it until they are started again.", "Remove");
    if (!sure) return;
    const apps = this.apps.filter((other) => other !== app && other.name !== app.name);
    await this.try({ ...this.config, apps }, `${app.name} is removed.`);
    byId("add-app").focus();
  }

  async forget() {
    const sure = await this.confirm("Forget this configuration?", "The demand mode is forgotten with it.", "Forget");
    if (!sure) return;
    try {
      await ask("DELETE", pathOf(this.owner, "config"));
      this.warnings([]);
      await this.follow(this.user, 0, true);
      this.tell("The configuration is forgotten.");
      byId("first-app").focus();
    } catch (refusal) {
      this.failed(`It was not forgotten: ${refusal.message}.`);
    }
  }

  async setCap() {
    const text = byId("cap-input").value.trim();
    const cap = /^-?\d{1,15}$/.test(text) ? Number(text) : text;
    try {
      await this.write({ ...this.config, maxContainers: cap }, "Saved.");
      this.drawCap(true);
    } catch (refusal) {
      const found = refusal.problems?.find((problem) => problem.startsWith("maxContainers: "));
      this.capProblem(found ? found.slice("maxContainers: ".length) : refusal.problems?.[0] ?? refusal.message);
      byId("cap-input").focus();
    }
  }

  capProblem(text) {
    const problem = byId("cap-problem");
    say(problem, text);
    show(problem, Boolean(text));
    if (text) byId("cap-input").setAttribute("aria-invalid", "true");
    else byId("cap-input").removeAttribute("aria-invalid");
  }

  /** Saves the app of the form. Throws the server's refusal, and one if somebody else has changed that app since. */
  async put(app) {
    const { app: was, isNew } = this.form;
    const apps = [...this.apps];
    const index = isNew ? apps.length : apps.findIndex((one) => one.name === was.name);
    if (index < 0) throw new Error(`somebody else has removed ${was.name}`);
    if (!isNew && JSON.stringify(apps[index]) !== JSON.stringify(was)) {
      this.form.app = apps[index];
      throw new Error(`somebody else has changed ${was.name}: save again to have it as it is here`);
    }
    this.form.index = index;
    apps[index] = app;
    await this.write({ maxContainers: CAP, ...this.config, apps }, `${app.name} is saved.`);
  }

  async write(config, done) {
    try {
      const { version, warnings } = await ask("PUT", pathOf(this.owner, "config"), { version: Math.max(0, this.version), config });
      this.version = this.asked = version;
      this.config = config;
      this.draw();
      this.warnings(warnings);
      this.tell(done);
    } catch (refusal) {
      if (refusal.status === 412) await this.follow(this.user, this.version, true);
      throw refusal;
    }
  }

  async try(config, done) {
    try {
      await this.write(config, done);
    } catch (refusal) {
      this.failed(`It was not saved: ${[refusal.message, ...(refusal.problems ?? [])].join(". ")}.`);
    }
  }

  warnings(warnings) {
    keyed(
      byId("warnings"),
      warnings,
      (text) => text,
      (text) => el("li", { text }),
      () => {},
    );
    show(byId("saved"), true);
    show(byId("warnings"), warnings.length > 0);
  }

  /** Asks in a dialog. Returns true or false. */
  confirm(question, more, yes) {
    const dialog = byId("confirm");
    const back = document.activeElement;
    say(byId("confirm-question"), question);
    say(byId("confirm-more"), more);
    say(byId("confirm-yes"), yes);
    dialog.returnValue = "";
    dialog.showModal();
    byId("confirm-no").focus();
    return new Promise((answer) => {
      dialog.addEventListener(
        "close",
        () => {
          if (back?.isConnected) back.focus();
          answer(dialog.returnValue === "yes");
        },
        { once: true },
      );
    });
  }
}
