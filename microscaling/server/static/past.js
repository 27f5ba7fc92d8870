// The history: the last hour twice a second and the day by the minute, from the server, then from every state.

import { readingOf } from "./format.js";

const MOST = 7300;
const STEP_S = 0.45;
const GAP_S = 4;
const COARSE_S = 90;
const KINDS = ["running", "demand", "metric"];

class Samples {
  constructor() {
    this.times = [];
    this.caps = [];
    this.tasks = new Map();
    this.read = new Map(); // the time of each task's last reading
  }

  get last() {
    return this.times.at(-1) ?? -Infinity;
  }

  /** Adds one sample at `time` (seconds): the cap, and values by task. */
  add(time, cap, values) {
    if (this.times.length && time - this.last > GAP_S) this.push(this.last + GAP_S / 4, null, new Map());
    this.push(time, cap, values);
    if (this.times.length > MOST * 1.1) this.trim(this.times.length - MOST);
  }

  push(time, cap, values) {
    for (const app of values.keys()) {
      if (this.tasks.has(app)) continue;
      const empty = () => new Array(this.times.length).fill(null);
      this.tasks.set(app, { running: empty(), demand: empty(), metric: empty() });
    }
    this.times.push(time);
    this.caps.push(cap);
    for (const [app, columns] of this.tasks) {
      const value = values.get(app);
      if ((value?.metric ?? null) !== null) this.read.set(app, time);
      for (const kind of KINDS) columns[kind].push(value?.[kind] ?? null);
    }
  }

  trim(count) {
    this.times.splice(0, count);
    this.caps.splice(0, count);
    for (const columns of this.tasks.values()) for (const kind of KINDS) columns[kind].splice(0, count);
  }

  /** Adds the newer samples of a part of the answer to `history`. */
  load(part, gapS) {
    for (const [i, ms] of part.times.entries()) {
      const time = ms / 1000;
      if (time <= this.last) continue;
      const values = new Map();
      for (const [app, columns] of Object.entries(part.tasks)) {
        if (columns.running[i] === null && columns.demand[i] === null) continue;
        values.set(app, { running: columns.running[i], demand: columns.demand[i], metric: columns.metric[i] });
      }
      if (this.times.length && time - this.last > gapS) this.push(this.last + gapS / 2, null, new Map());
      this.push(time, part.cap[i], values);
    }
  }
}

export class Past {
  constructor() {
    this.clear();
  }

  clear() {
    this.full = new Samples();
    this.coarse = new Samples();
  }

  /** The time (seconds) of the first sample; Infinity if there is none. */
  get first() {
    return Math.min(this.coarse.times[0] ?? Infinity, this.full.times[0] ?? Infinity);
  }

  /** The time (seconds) of the last reading of a task; undefined if there was none in this time. */
  readAt(app) {
    return this.full.read.get(app) ?? this.coarse.read.get(app);
  }

  /** The values at a time (seconds), or null if nothing was known then. */
  at(time) {
    const start = this.full.times[0] ?? Infinity;
    const [samples, longest] = time < start ? [this.coarse, COARSE_S] : [this.full, GAP_S];
    const i = firstAfter(samples.times, time) - 1;
    if (i < 0 || samples.caps[i] === null || time - samples.times[i] > longest) return null;
    return { cap: samples.caps[i], of: (app, kind) => samples.tasks.get(app)?.[kind][i] ?? null };
  }

  /** Starts again with the server's history; later samples of this page are kept after it. */
  load(history) {
    const seen = this.full;
    this.clear();
    this.coarse.load(history.coarse, 150);
    this.full.load(history.full, GAP_S);
    for (const [i, time] of seen.times.entries()) {
      if (time <= this.full.last + STEP_S) continue;
      const values = new Map();
      for (const [app, columns] of seen.tasks) {
        if (columns.running[i] === null) continue;
        values.set(app, { running: columns.running[i], demand: columns.demand[i], metric: columns.metric[i] });
      }
      this.full.add(time, seen.caps[i], values);
    }
  }

  /** Adds a sample from a state; without an agent there is none, so the chart has a gap. */
  take(state) {
    const time = state.now / 1000;
    if (!state.agents.connected || time - this.full.last < STEP_S) return;
    const told = state.tasks.filter((task) => task.reported);
    // A cap of null means a gap here, so an unknown one is 0, as in the answer to `history`.
    const values = told.map((task) => [task.app, { ...task, metric: readingOf(task) }]);
    this.full.add(time, state.cap ?? 0, new Map(values));
  }

  /** Returns the last `seconds` before `now` (both in seconds), in at most about `most` samples. */
  slice(now, seconds, most = 1500) {
    const from = now - seconds;
    const parts = [];
    const start = this.full.times[0] ?? Infinity;
    if (start > from) parts.push(picked(this.coarse, from, Math.min(start, now), 1));
    const first = firstAfter(this.full.times, from);
    const step = Math.max(1, Math.ceil((this.full.times.length - first) / most));
    parts.push(picked(this.full, from, now + 1, step));
    return joined(parts);
  }
}

/** Returns the index of the first later time. */
function firstAfter(times, time) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Picks every step-th sample and all gaps, from the one before `from`, so that a line begins at the edge, to `to`. */
function picked(samples, from, to, step) {
  const indexes = [];
  const first = Math.max(0, firstAfter(samples.times, from) - 1);
  for (let i = first; i < samples.times.length && samples.times[i] < to; i++) {
    if (i % step === 0 || samples.caps[i] === null || i === samples.times.length - 1) indexes.push(i);
  }
  return { samples, indexes };
}

function joined(parts) {
  const apps = new Set(parts.flatMap(({ samples }) => [...samples.tasks.keys()]));
  const column = (pick) => parts.flatMap(({ samples, indexes }) => indexes.map((i) => pick(samples, i)));
  return {
    times: column((samples, i) => samples.times[i]),
    caps: column((samples, i) => samples.caps[i]),
    of: (app, kind) => column((samples, i) => samples.tasks.get(app)?.[kind][i] ?? null),
    apps,
  };
}
