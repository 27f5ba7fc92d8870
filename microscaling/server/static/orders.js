// Pause, pin and resume of one task, for agents that decide by themselves.

import { ask, pathOf } from "./api.js";
import { el, say, show } from "./dom.js";

export class Orders {
  /** `on.failed(text)` shows an error. */
  constructor(on) {
    this.on = on;
    this.pause = el("button", { type: "button", class: "quiet" });
    this.pin = el("button", { type: "button", class: "quiet", text: "Pin" });
    this.count = el("input", { type: "number", min: 0, step: 1, inputmode: "numeric" });
    this.element = el("form", { class: "orders", hidden: true }, this.count, this.pin, this.pause);
    this.pin.type = "submit";
    this.pause.addEventListener("click", () => this.give(this.task.override ? "resume" : "pause"));
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.give("pin", { containers: Number(this.count.value) });
    });
  }

  follow(user, task) {
    const other = this.task?.app !== task.app;
    this.user = user;
    this.task = task;
    show(this.element, task.orders > 0);
    if (!task.orders) return;
    say(this.pause, task.override ? "Resume" : "Pause");
    this.pause.setAttribute("aria-label", `${task.override ? "Resume" : "Pause"} ${task.app}`);
    this.pin.setAttribute("aria-label", `Pin ${task.app}`);
    this.count.setAttribute("aria-label", `Containers to pin ${task.app} to`);
    this.count.max = task.max ?? "";
    // What is being typed stays.
    if (other || (this.count !== document.activeElement && this.count.value === "")) this.count.value = task.demand;
  }

  async give(command, more = {}) {
    const path = pathOf(this.user, `tasks/${encodeURIComponent(this.task.app)}/order`);
    try {
      await ask("PUT", path, { command, ...more });
    } catch (refusal) {
      this.on.failed(`${this.task.app} stays as it is: ${refusal.message}.`);
    }
  }
}
