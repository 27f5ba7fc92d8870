// Charts over time: the shares of the cap, and each queue against its target.

import { el, show } from "./dom.js";
import uPlot from "./uplot/uPlot.esm.js";
import { colour } from "./theme.js";

export const MOST_STACKED = 12;
const OTHERS = "--other";
const steps = uPlot.paths.stepped({ align: 1 });
const FONT = "12px system-ui, sans-serif";

/** The CSS property with the colour of the task at this place. */
export const colourOf = (index) => (index < MOST_STACKED ? `--task-${index + 1}` : OTHERS);

const faded = (rgb, alpha) => rgb.replace(/^rgba?\(([^,]+),([^,]+),([^,)]+).*$/, `rgba($1,$2,$3,${alpha})`);

function clockOf(seconds, span) {
  const options = { hour: "2-digit", minute: "2-digit", hour12: false };
  if (span <= 600) options.second = "2-digit";
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", options);
}

function axes(span, space, times) {
  const line = colour("--line");
  const stroke = colour("--muted");
  const grid = { stroke: line, width: 1 };
  return [
    {
      stroke,
      font: FONT,
      grid: { show: false },
      ticks: { stroke: line, size: 4 },
      space: 76,
      size: 26,
      show: times,
      values: (_, ticks) => ticks.map((tick) => clockOf(tick, span())),
    },
    {
      stroke,
      font: FONT,
      grid,
      ticks: { show: false },
      size: 40,
      space,
      incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9],
    },
  ];
}

class Chart {
  /** `moment` is shared by all charts; `times`: whether the time is written below it. */
  constructor(place, moment, height, times = true) {
    this.moment = moment;
    this.marker = el("i", { class: "marker", hidden: true });
    this.times = times;
    this.place = place;
    this.height = height;
    this.plot = null;
    this.made = "";
    this.span = 60;
    this.visible = false;
    this.watcher = new ResizeObserver(() => this.fit());
    this.watcher.observe(place);
    this.sight = new IntersectionObserver((entries) => (this.visible = entries.at(-1).isIntersecting), {
      rootMargin: "400px",
    });
    this.sight.observe(place);
  }

  fit() {
    const width = this.place.clientWidth;
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: this.height });
  }

  /** Draws, with a new plot if `form` differs from the last one. */
  put(form, options, data, from, to) {
    if (this.place.clientWidth === 0) return;
    if (form !== this.made) {
      this.plot?.destroy();
      this.plot = null;
      this.made = form;
    }
    this.range = [from, to];
    if (!this.plot) {
      const common = {
        width: this.place.clientWidth,
        height: this.height,
        cursor: { show: false },
        legend: { show: false },
        hooks: { draw: [() => this.mark()] }, // not before: until then places are those of the last range
        padding: [8, 26, this.times ? 0 : 8, 0],
      };
      const made = { ...common, ...options() };
      made.scales = { x: { time: true, range: () => this.range }, ...made.scales };
      this.plot = new uPlot(made, data, this.place);
      this.listen(this.plot.over);
    } else {
      this.plot.setData(data);
    }
  }

  listen(over) {
    over.append(this.marker);
    const timeOf = (event) => this.plot.posToVal(event.clientX - over.getBoundingClientRect().left, "x");
    over.addEventListener("pointermove", (event) => this.moment.point(timeOf(event)));
    over.addEventListener("pointerleave", () => this.moment.leave());
    over.addEventListener("click", (event) => this.moment.pin(timeOf(event)));
  }

  /** Draws the line of the moment. */
  mark() {
    const { at } = this.moment;
    const visible = this.plot && at !== null && at >= this.range[0] && at <= this.range[1];
    show(this.marker, Boolean(visible));
    if (visible) this.marker.style.left = `${this.plot.valToPos(at, "x")}px`;
  }

  end() {
    this.watcher.disconnect();
    this.sight.disconnect();
    this.plot?.destroy();
  }
}

/** The running containers, as stacked areas with the most important task at the bottom; the demand, as the line above
 *  each; and the cap. */
export class Shares extends Chart {
  constructor(place, moment) {
    super(place, moment, 250);
  }

  /** `tasks`: name and colour property of each, most important first; `alone`: the name of the only one to draw. */
  draw(past, tasks, alone, now, span, theme) {
    if (!this.visible) return;
    const seen = past.slice(now, span);
    const one = tasks.filter(({ app }) => app === alone);
    const stacked = one.length ? one : tasks.slice(0, MOST_STACKED);
    const shown = stacked.map((task) => ({ ...task, apps: [task.app] }));
    const rest = one.length ? [] : tasks.slice(MOST_STACKED).map((task) => task.app);
    if (rest.length) shown.push({ app: "others", colour: OTHERS, apps: rest });
    const gaps = seen.caps.map((cap) => cap === null);
    const columnsOf = (kind) => {
      let below = seen.times.map((_, i) => (gaps[i] ? null : 0));
      return shown.map(({ apps }) => {
        const columns = apps.map((app) => seen.of(app, kind));
        below = below.map((sum, i) => (sum === null ? null : columns.reduce((all, c) => all + (c[i] ?? 0), sum)));
        return below;
      });
    };
    const [running, wanted] = [columnsOf("running"), columnsOf("demand")];
    this.span = span;
    // From the top down: each area covers what is below it.
    const caps = seen.caps.map((cap) => cap || null); // 0 stands for one that is not known
    const data = [seen.times, ...running.toReversed(), ...wanted, caps];
    const form = JSON.stringify([shown.map(({ colour }) => colour), theme]);
    this.put(form, () => this.options(shown), data, now - span, now);
  }

  options(shown) {
    const area = ({ colour: property }) => ({ fill: colour(`${property}-soft`), width: 0, paths: steps, points: { show: false } });
    const line = ({ colour: property }) => ({ stroke: colour(property), width: 2, paths: steps, points: { show: false } });
    return {
      scales: { y: { range: (plot) => [0, Math.max(1, ...plot.series.slice(1).map((_, i) => highest(plot.data[i + 1]))) * 1.08] } },
      axes: axes(() => this.span, 30, this.times),
      series: [
        {},
        ...shown.toReversed().map(area),
        ...shown.map(line),
        { stroke: colour("--cap"), width: 2, dash: [6, 5], paths: steps, points: { show: false } },
      ],
    };
  }
}

/** One queue: its length, its target, and the lengths at which its task wants more and gives back. */
export class Queue extends Chart {
  constructor(place, moment) {
    super(place, moment, 96, false);
  }

  draw(past, task, property, now, span, theme) {
    if (!this.visible) return;
    const seen = past.slice(now, span, 500);
    const lengths = seen.of(task.app, "metric");
    const level = (items) => seen.times.map(() => items);
    this.span = span;
    const data = [seen.times, lengths, level(task.target), level(task.more), level(task.back)];
    this.put(`${property}/${theme}`, () => this.options(property), data, now - span, now);
  }

  options(property) {
    const ink = colour(property);
    const line = (name, dash) => ({ stroke: colour(name), width: 1.5, dash, points: { show: false } });
    const top = ({ data }) => Math.max(1, highest(data[1]), highest(data[2]) * 1.3, highest(data[3]));
    return {
      scales: { y: { range: (plot) => [0, top(plot) * 1.12] } },
      axes: axes(() => this.span, 34, this.times),
      series: [
        {},
        { stroke: ink, fill: faded(ink, 0.16), width: 2, points: { show: false } },
        line("--cap", [6, 5]),
        line("--bad", [2, 3]),
        line("--good", [2, 3]),
      ],
    };
  }
}

function highest(values) {
  let most = 0;
  for (const value of values) if (value > most) most = value;
  return most;
}
