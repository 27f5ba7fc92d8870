// Announcements for screen readers, polite ones, and no more often than a person can listen to.

import { byId } from "./dom.js";

const EVERY_MS = 10000;

export class Announcer {
  constructor() {
    this.region = byId("announcements");
    this.changes = new Map();
    this.timer = 0;
    this.last = -Infinity;
  }

  /** Announces at once, for the result of the person's own action and for the loss of the server. */
  tell(text) {
    this.region.textContent = "";
    setTimeout(() => (this.region.textContent = text), 50);
  }

  /** Announces changes of demand; several become one sentence. */
  decided(decisions) {
    for (const { app, before, after } of decisions) {
      const first = this.changes.get(app)?.before ?? before;
      this.changes.set(app, { before: first, after });
    }
    if (!this.timer && decisions.length) {
      const wait = Math.max(500, this.last + EVERY_MS - performance.now());
      this.timer = setTimeout(() => this.flush(), wait);
    }
  }

  flush() {
    this.timer = 0;
    this.last = performance.now();
    const words = [...this.changes]
      .filter(([, { before, after }]) => before !== after)
      .slice(0, 5)
      .map(([app, { before, after }]) => `${app} from ${before} to ${after}`);
    this.changes.clear();
    if (words.length) this.region.textContent = `Wanted now: ${words.join("; ")}.`;
  }
}
