// The containers of every task, one by one, and all facts about it.

import { ask, pathOf } from "./api.js";
import { colourOf, Queue } from "./charts.js";
import { Containers, Failure } from "./containers.js";
import { byId, el, keyed, say, show, throttled } from "./dom.js";
import { count, duration, jobsInWords, list, minute, number, perTime, readingOf, size, time, wait } from "./format.js";
import { Orders } from "./orders.js";

const MOST_CELLS = 80;
const MOST_SHARED = 300;
const MOST_CHARTS = 24;
const NAMES = { run: "running", start: "starting", stop: "stopping", back: "backing off", free: "free" };

/** "SimpleQueue" as "simple queue". */
const ruleInWords = (rule) => (rule === "Remainder" ? "takes the rest" : rule.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase());

/** How many of a task's containers are in each state, in the order they are drawn. */
export function states(task) {
  const stop = task.reported ? Math.min(task.stopping, task.running) : 0;
  return {
    run: task.reported ? task.running - stop : 0,
    stop,
    start: task.reported ? task.starting : 0,
    back: task.reported && task.backingOff ? 1 : 0,
  };
}

/** "4 running and 2 starting" */
export function inWords(counts) {
  const words = Object.entries(counts)
    .filter(([, n]) => n > 0)
    .map(([state, n]) => `${number(n)} ${NAMES[state]}`);
  return list(words) || "none running";
}

/** Draws one square per container; `cells` is a list of [state, colour property]. */
export function drawCells(place, cells) {
  while (place.childElementCount > cells.length) place.lastElementChild.remove();
  while (place.childElementCount < cells.length) place.append(el("span"));
  for (const [i, [state, property]] of cells.entries()) {
    const cell = place.children[i];
    const name = `cell ${state}`;
    if (cell.className !== name) cell.className = name;
    if (cell.property !== property) {
      cell.property = property;
      if (property) cell.style.setProperty("--c", `var(${property})`);
      else cell.style.removeProperty("--c");
    }
  }
}

const sentence = (words) => words && words[0].toUpperCase() + words.slice(1);

/** The number of agents that a state is the sum of; 1 if there is none. */
const agentsIn = ({ agent, agents }) => (agent ? 1 : Math.max(1, agents.connected));

/** The lines in a queue's chart, in words. */
function thresholds({ target, more, back }) {
  const lines = [["more", more, "wants more from"], ["target", target, "target"], ["back", back, "gives back at"]];
  return lines.filter(([, items]) => items !== null).map(([kind, items, words]) => [kind, `${words} ${number(items)}`]);
}

/** What a rule has learned, in words; "" if it knows nothing yet. */
const learnedInWords = ({ arrivals, rate, mayWait }) =>
  rate === null ? "" : `Learned: ${perTime(arrivals)} come, one container does ${perTime(rate)}, ${number(mayWait)} may wait`;

/** A promise against what was measured. */
function promiseInWords({ promiseSeconds, waitSeconds, exact, longestSeconds, kept }) {
  const now = waitSeconds === null ? "" : `now ${exact ? "" : "about "}${wait(waitSeconds)}, `;
  const share = `${Math.floor(kept * 1000) / 10} %`;
  return `Promise: ${wait(promiseSeconds)} at most; ${now}in the last 10 minutes at most ${wait(longestSeconds)}, kept in ${share} of the time`;
}

/** One of several metrics, in words. */
function memberInWords({ place, rule, metric, reading, target, wants, decides, problem }) {
  const by = `${place}: ${ruleInWords(rule)}${target === null ? "" : ` ${number(target)}`} by ${metric}`;
  if (problem) return `${by}: no reading, so no fewer containers: ${problem}`;
  return `${by}: ${number(reading ?? 0)}, wants ${wants === null ? "nothing known" : number(wants)}${decides ? " (decides)" : ""}`;
}

const repeat = (n, value) => Array.from({ length: Math.max(0, n) }, () => value);

export class Tasks {
  /** `on.edit(app)` opens the form; `on.failed(text)` shows an error; `on.choose(app)` shows one alone, and
   * `on.link(app)` is its address. */
  constructor(on, past, moment) {
    this.on = on;
    this.past = past;
    this.moment = moment;
    this.place = byId("tasks");
    this.user = "";
    this.charts = 0;
    this.moved = new Map();
  }

  /** `chosen`: the name of the task that is shown alone. */
  draw(state, user, chosen) {
    this.user = user;
    this.state = state;
    this.chosen = chosen;
    keyed(
      this.place,
      state.tasks,
      (task) => `${user}/${task.app}`,
      () => this.make(),
      (card, task, index) => this.update(card.parts, task, index),
      (card) => this.gone(card.parts),
    );
    this.drawShared(state);
  }

  make() {
    const { on } = this;
    const parts = {
      rank: el("span", { class: "rank" }),
      name: el("a"),
      chips: el("span", { class: "chips" }),
      running: el("b", {}),
      wanted: el("span", {}),
      cells: el("div", { class: "cells", role: "img" }),
      more: el("span", { class: "more muted" }),
      about: el("p", { class: "about muted" }),
      now: el("p", { class: "now" }),
      reason: el("p", { class: "reason muted" }),
      learned: el("ul", { class: "learned", hidden: true }),
      edit: el("button", { type: "button", class: "quiet", text: "Edit" }),
      slider: el("input", { type: "range", step: 1 }),
      sliderName: el("span", {}),
      output: el("output", {}),
      metric: el("span", { class: "metric" }),
      then: el("span", { class: "then" }),
      chart: el("div", { class: "chart", role: "img" }),
      lines: el("p", { class: "key muted" }),
      containers: new Containers(),
      failure: new Failure(),
      warnings: el("ul", { class: "warnings", hidden: true }),
      orders: new Orders(on),
    };
    parts.sliderRow = el("label", { class: "slider", hidden: true }, parts.sliderName, parts.slider, parts.output);
    parts.queue = el("div", { class: "queue", hidden: true }, el("p", { class: "metric-row" }, parts.metric, parts.then), parts.chart, parts.lines);
    const counts = el("p", { class: "counts" }, parts.running, parts.wanted);
    const head = el("div", { class: "task-head" }, parts.rank, el("h3", {}, parts.name), parts.chips, counts);
    const row = el("div", { class: "cell-row" }, parts.cells, parts.more);
    const left = el("div", { class: "task-left" }, row, parts.sliderRow, parts.now, parts.warnings, parts.learned, parts.failure.element, parts.reason, parts.about);
    const foot = el("div", { class: "task-edit" }, parts.edit);
    const card = el("li", { class: "task" }, head, el("div", { class: "task-body" }, left, parts.queue), parts.orders.element, parts.containers.element, foot);
    card.parts = { ...parts, card };
    parts.edit.addEventListener("click", () => this.on.edit(card.parts.app));
    parts.name.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // in another window
      event.preventDefault();
      this.on.choose(card.parts.app);
    });
    this.listen(card.parts);
    return card;
  }

  gone(parts) {
    if (!parts.plot) return;
    parts.plot.end();
    this.charts -= 1;
  }

  update(parts, task, index) {
    parts.app = task.app;
    parts.card.style.setProperty("--c", `var(${colourOf(index)})`);
    parts.card.style.setProperty("--c-soft", `var(${colourOf(index)}-soft)`);
    const priority = task.priority === null ? "priority not known" : `priority ${task.priority}`;
    say(parts.rank, task.priority === null ? "–" : String(task.priority));
    parts.rank.title = priority;
    parts.rank.setAttribute("aria-label", priority);
    parts.rank.setAttribute("role", "img");
    say(parts.name, task.app);
    parts.name.href = this.on.link(task.app);
    parts.card.classList.toggle("chosen", task.app === this.chosen);
    this.chips(parts.chips, task);
    say(parts.running, task.reported ? number(task.running) : "–");
    say(parts.wanted, task.reported ? ` running / ${number(task.demand)} wanted` : " no agent tells of it");
    this.cells(parts, task);
    const rule = ruleInWords(task.rule ?? "");
    const limits = task.min === null || task.max === null ? "" : `${number(task.min)} to ${count(task.max, "container")}`;
    say(parts.about, [limits, rule, task.image].filter(Boolean).join(" · "));
    say(parts.now, sentence(task.now));
    show(parts.now, Boolean(task.now));
    this.rules(parts, task);
    say(parts.reason, task.held ? `Held: ${task.held}` : task.reason && `Last change: ${task.reason}`);
    show(parts.reason, Boolean(task.held || task.reason));
    show(parts.edit, task.configured);
    parts.edit.setAttribute("aria-label", `Edit ${task.app}`);
    parts.failure.draw(task.failing);
    parts.orders.follow(this.user, task);
    keyed(
      parts.warnings,
      task.warnings,
      (text) => text,
      (text) => el("li", { text: sentence(text) }),
      () => {},
    );
    show(parts.warnings, task.warnings.length > 0);
    parts.containers.follow(this.user, task, this.state.agent);
    this.slider(parts, task);
    this.queue(parts, task, index);
  }

  /** What its rules have learned and promise, and which of several metrics decides. */
  rules(parts, task) {
    const each = task.metrics ?? [];
    const learned = [task.learned, ...each.map((member) => member.learned)].filter(Boolean);
    const about = learned.flatMap((one) => [learnedInWords(one), promiseInWords(one)]);
    const lines = [...each.map(memberInWords), ...about].filter(Boolean);
    keyed(
      parts.learned,
      lines.map((text, i) => [i, text]),
      ([i]) => i,
      () => el("li", {}),
      (item, [, text]) => say(item, text),
    );
    parts.learned.classList.toggle("broken", learned.some(({ waitSeconds, promiseSeconds }) => waitSeconds > promiseSeconds));
    show(parts.learned, lines.length > 0);
  }

  chips(place, task) {
    const chips = [];
    if (task.override) chips.push(["warn", task.override.split(" ")[0], task.override]);
    if (task.warnings.length) chips.push(["warn", "warning", task.warnings.join("\n")]);
    if (task.resting) chips.push(["warn", "rests", task.resting]);
    else if (task.backingOff) chips.push(["bad", "backing off", "its containers keep failing: it waits before the next try"]);
    if (task.held) chips.push(["warn", "held", task.held]);
    if (task.fallback) chips.push(["warn", "fallback", task.fallback]);
    if (!task.reported) chips.push(["", "not reported", "no connected agent has this task"]);
    if (!task.configured) chips.push(["", "not in the configuration", "an agent reports it"]);
    keyed(
      place,
      chips,
      ([, text]) => text,
      ([kind, text]) => el("span", { class: `chip ${kind}`, text }),
      (chip, [, , title]) => (chip.title = title),
    );
  }

  cells(parts, task) {
    const counts = states(task);
    const drawn = Object.entries(counts).flatMap(([state, n]) => repeat(Math.min(n, MOST_CELLS), [state, ""]));
    const most = Math.max(task.max * agentsIn(this.state), drawn.length);
    const free = Math.min(most, MOST_CELLS) - drawn.length;
    drawCells(parts.cells, [...drawn, ...repeat(free, ["free", ""])].slice(0, MOST_CELLS));
    const hidden = most - MOST_CELLS;
    const beside = [hidden > 0 && `and room for ${number(hidden)} more`, task.frozen && `${number(task.frozen)} frozen`,
      task.warmBytes && `${size(task.warmBytes)} in warm ones`];
    say(parts.more, beside.filter(Boolean).join(", "));
    const label = task.reported ? inWords(counts) : "not known";
    const limit = task.max === null ? "" : `, at most ${number(most)}`;
    parts.cells.setAttribute("aria-label", `Containers of ${task.app}: ${label}${limit}`);
  }

  // Sliders

  slider(parts, task) {
    const visible = this.state.mode === "manual" && task.configured;
    show(parts.sliderRow, visible);
    if (!visible) return;
    parts.slider.min = task.min;
    parts.slider.max = task.max;
    const each = agentsIn(this.state) > 1 ? " of each agent" : "";
    say(parts.sliderName, `Containers wanted of ${task.app}${each}`);
    const moved = this.moved.get(task.app);
    if (!moved || performance.now() - moved > 1500) parts.slider.value = task.slider;
    say(parts.output, parts.slider.value);
  }

  listen(parts) {
    const send = throttled(() => this.send(parts), 150);
    parts.slider.addEventListener("input", () => {
      this.moved.set(parts.app, performance.now());
      say(parts.output, parts.slider.value);
      send();
    });
  }

  async send(parts) {
    try {
      await ask("PUT", pathOf(this.user, "demand"), { demand: { [parts.app]: Number(parts.slider.value) } });
    } catch (refusal) {
      this.on.failed(`The slider has no effect: ${refusal.message}.`);
    }
  }

  // Queues

  queue(parts, task, index) {
    const visible = task.target !== null || Boolean(task.learned) || (task.metrics ?? []).length > 0;
    show(parts.queue, visible);
    if (!visible) return;
    const now = readingOf(task);
    const words = now === null ? this.unread(task) : jobsInWords(now, task.jobs);
    const target = task.target === null ? "" : `, target ${number(task.target)}`;
    say(parts.metric, `${words}${target}`);
    const oldest = task.jobs?.oldestSeconds;
    parts.metric.title = now === null || oldest === undefined ? "" : `the oldest waits for ${duration(oldest)}`;
    parts.metric.classList.toggle("none", now === null);
    const above = now !== null && task.target !== null && now > task.target;
    const wants = above && (task.more === null || now >= task.more);
    parts.metric.classList.toggle("over", wants);
    parts.metric.classList.toggle("between", above && !wants);
    const shown = now === null ? "no reading" : now;
    parts.chart.setAttribute("aria-label", `Queue of ${task.app} over time: now ${shown}${target}`);
    keyed(
      parts.lines,
      thresholds(task),
      ([kind]) => kind,
      ([kind]) => el("span", {}, el("i", { class: `key-${kind}` }), el("span")),
      (item, [, words]) => say(item.lastChild, words),
    );
    parts.task = task;
    parts.index = index;
    if (!parts.plot && this.charts < MOST_CHARTS) {
      this.charts += 1;
      parts.plot = new Queue(parts.chart, this.moment);
    }
  }

  unread(task) {
    const read = this.past.readAt(task.app);
    const last = task.metric === null ? "" : `, the last was ${number(task.metric)}`;
    return `no reading${read === undefined ? "" : ` since ${minute(read * 1000)}`}${last}`;
  }

  /** Draws the queues' charts. */
  plot(past, now, span, theme) {
    for (const { parts } of this.place.children) {
      if (parts.plot && !parts.queue.hidden) parts.plot.draw(past, parts.task, colourOf(parts.index), now, span, theme);
    }
  }

  /** Shows the moment in all charts, with its values. */
  mark() {
    const { at } = this.moment;
    const then = at === null ? null : this.past.at(at);
    for (const { parts } of this.place.children) {
      parts.plot?.mark();
      const items = then?.of(parts.app, "metric") ?? null;
      const words = items === null ? "no reading" : `${number(items)} waiting`;
      say(parts.then, at === null ? "" : `${time(at * 1000)}: ${words}`);
    }
  }

  /** Brings the card of a task into view. */
  reveal(app) {
    const card = [...this.place.children].find(({ parts }) => parts.app === app);
    card?.scrollIntoView({ block: "nearest" });
  }

  // The cap

  drawShared(state) {
    const place = byId("shared");
    const cells = [];
    const total = state.tasks.reduce((sum, task) => sum + (task.reported ? task.running : 0), 0);
    const each = Math.max(1, Math.ceil(Math.max(state.cap ?? 0, total) / MOST_SHARED));
    let running = 0;
    const words = [];
    for (const [index, task] of state.tasks.entries()) {
      const counts = states(task);
      running += counts.run + counts.stop;
      if (counts.run + counts.stop > 0) words.push(`${task.app} ${number(counts.run + counts.stop)}`);
      // A container that is only requested has no place yet.
      for (const name of ["run", "stop"]) cells.push(...repeat(Math.round(counts[name] / each), [name, colourOf(index)]));
    }
    cells.push(...repeat(Math.round((state.cap ?? 0) / each) - cells.length, ["free", ""]));
    place.classList.toggle("dense", cells.length > 40);
    drawCells(place, cells);
    say(byId("each"), each > 1 ? `One square stands for ${number(each)} containers.` : "");
    place.setAttribute("aria-label", words.length ? `Running: ${list(words)}` : "Nothing runs");
    say(byId("running"), state.agents.connected ? number(running) : "–");
    say(byId("cap"), state.cap === null ? " running" : ` of ${count(state.cap, "container")} run`);
    say(byId("wanted"), this.wanted(state, running));
  }

  wanted(state, running) {
    if (!state.agents.connected) return "No agent is connected.";
    const wanted = state.tasks.reduce((sum, task) => sum + (task.reported ? task.demand : 0), 0);
    const sliders = state.tasks.reduce((sum, task) => sum + (task.configured ? task.slider : 0), 0);
    if (state.cap === null) return `${number(wanted)} wanted`;
    const most = state.cap / agentsIn(state);
    if (state.mode === "manual" && sliders > most) {
      return `The sliders add up to ${number(sliders)}, the cap is ${number(most)}: the least important give way.`;
    }
    return `${number(wanted)} wanted, ${number(Math.max(0, state.cap - running))} free`;
  }
}
