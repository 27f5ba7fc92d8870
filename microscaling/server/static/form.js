// The form of one app, in a dialog: shows each problem at its field.

import { byId, el, say, show } from "./dom.js";
import { count } from "./format.js";
import { appFrom, fieldsOf, plainFields, textOf } from "./fields.js";

const idOf = (id) => `field-${id.replaceAll(".", "-")}`;

const MODES = { whole: "numeric", number: "decimal" };

export class AppForm {
  /**
   * `save(app)` writes it, and sets `index`, its place in what is written; a refusal is shown here. `declarations()`
   * gives those of rules, metrics and keys.
   */
  constructor(save, declarations) {
    this.dialog = byId("app-dialog");
    this.form = byId("app-form");
    this.summary = byId("app-problems");
    this.save = save;
    this.declarations = declarations;
    this.declared = false;
    this.index = 0;
    this.preparing = this.prepare();
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.form.addEventListener("change", () => this.reveal());
    byId("app-cancel").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.back?.isConnected && this.back.focus());
  }

  /** Makes the fields of the server's declarations. An older server has none: then the form has only the common ones. */
  async prepare() {
    try {
      this.build(fieldsOf(await this.declarations()));
      this.declared = true;
      say(byId("app-note"), "");
    } catch (error) {
      this.build(plainFields());
      const why = error instanceof TypeError ? "its answer is not understood" : error.message;
      say(byId("app-note"), `The server does not list its rules and metrics (${why}): type their names, and their fields as JSON.`);
    }
    show(byId("app-note"), !this.declared);
  }

  build(fields) {
    this.fields = fields;
    this.rows = fields.map((field) => this.row(field));
    byId("app-fields").replaceChildren(...this.rows.map(({ row }) => row));
  }

  row(field) {
    const id = idOf(field.id);
    const problem = el("p", { class: "problem", id: `${id}-problem`, hidden: true });
    const hint = field.hint ? el("p", { class: "hint muted", id: `${id}-hint`, text: field.hint }) : null;
    const common = { id, name: field.id, autocomplete: "off", spellcheck: "false" };
    let input;
    if (field.choices?.length) {
      input = el("select", common, ...field.choices.map(([value, text]) => el("option", { value, text })));
    } else if (field.kind === "json") input = el("textarea", { ...common, rows: 4 });
    else input = el("input", { ...common, type: "text", inputmode: MODES[field.kind] ?? "text" });
    const described = [`${id}-problem`, hint && hint.id].filter(Boolean).join(" ");
    input.setAttribute("aria-describedby", described);
    const label = el("label", { for: id, text: field.label });
    const row = el("div", { class: field.wide ? "field wide" : "field" }, label, input, hint, problem);
    return { field, row, input, problem };
  }

  /** Opens the form for an app; the focus returns at its end. */
  async open(app, isNew) {
    const back = document.activeElement;
    await this.preparing;
    if (!this.declared) await (this.preparing = this.prepare());
    if (this.dialog.open) return; // of two clicks before the fields were loaded, the first counts
    this.app = app;
    this.isNew = isNew;
    this.back = back;
    say(byId("app-title"), isNew ? "Add an app" : `Edit ${app.name}`);
    for (const { field, input } of this.rows) input.value = textOf(app, field, this.fields);
    this.clear();
    this.reveal();
    this.dialog.showModal();
    this.rows[0].input.focus();
  }

  values() {
    return Object.fromEntries(this.rows.map(({ field, input }) => [field.id, input.value]));
  }

  reveal() {
    const values = this.values();
    for (const { field, row } of this.rows) show(row, !field.when || field.when(values));
  }

  clear() {
    show(this.summary, false);
    for (const { input, problem } of this.rows) {
      input.removeAttribute("aria-invalid");
      show(problem, false);
      say(problem, "");
    }
  }

  async submit() {
    this.clear();
    let app;
    try {
      app = appFrom(this.app, this.values(), this.fields);
    } catch (error) {
      const what = error.path === "metrics" ? "is not JSON" : "is not a JSON object";
      this.problems([`apps[${this.index}].${error.path ?? "config"}: ${what}: ${error.message}`], "");
      return;
    }
    const button = byId("app-save");
    button.disabled = true;
    try {
      await this.save(app);
      this.dialog.close();
    } catch (refusal) {
      this.problems(refusal.problems ?? [], refusal.message);
    } finally {
      button.disabled = false;
    }
  }

  /** Shows each problem at the field that it names, the others at the top. */
  problems(problems, error) {
    const others = [];
    for (const problem of problems) {
      const row = this.rowOf(problem);
      if (!row) {
        others.push(problem);
        continue;
      }
      const text = problem.slice(problem.indexOf(": ") + 2);
      say(row.problem, row.problem.textContent ? `${row.problem.textContent}; ${text}` : text);
      show(row.problem, true);
      row.input.setAttribute("aria-invalid", "true");
    }
    const wrong = this.rows.filter(({ problem }) => !problem.hidden);
    const said = wrong.length ? [`${count(wrong.length, "field")} to mend.`, ...others] : others;
    say(this.summary, said.length ? said.join(" ") : `It was not saved: ${error}.`);
    show(this.summary, true);
    (wrong[0]?.input ?? this.summary).focus();
  }

  rowOf(problem) {
    const place = `apps[${this.index}].`;
    if (!problem.startsWith(place)) return null;
    const path = problem.slice(place.length).split(": ")[0];
    const shown = this.rows.filter(({ row }) => !row.hidden);
    return (
      shown.find(({ field }) => field.path.toLowerCase() === path.toLowerCase()) ??
      shown.find(({ field }) => field.kind === "json" && path.startsWith(field.path))
    );
  }
}
