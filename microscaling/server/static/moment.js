// The moment whose values all charts show: under the pointer, or pinned by a click or the keys.

export class Moment {
  constructor() {
    this.pinned = null;
    this.pointed = null;
    this.listeners = [];
  }

  /** In seconds; null: now. */
  get at() {
    return this.pointed ?? this.pinned;
  }

  point(seconds) {
    this.pointed = seconds;
    this.tell();
  }

  leave() {
    this.pointed = null;
    this.tell();
  }

  /** null: no moment any more. */
  pin(seconds) {
    this.pinned = seconds;
    this.pointed = null;
    this.tell();
  }

  tell() {
    for (const listener of this.listeners) listener();
  }
}
