// Numbers, times and plurals in words.

const whole = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const number = (value) => whole.format(value);

/** "1 container", "2 containers" */
export const count = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;

const SIZES = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]];

/** "240 MB", "1.5 GB" */
export function size(bytes) {
  const [one, unit] = SIZES.find(([least]) => bytes >= least) ?? SIZES.at(-1);
  return `${Number((bytes / one).toPrecision(3))} ${unit}`;
}

/** A time of day, from Unix milliseconds. */
export const time = (ms) => clock.format(new Date(ms));

const minutes = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** The date, if it is not that of `now`: "3 Nov " or "". Both in Unix milliseconds. */
export function date(ms, now = Date.now()) {
  return new Date(ms).toDateString() === new Date(now).toDateString() ? "" : `${days.format(new Date(ms))} `;
}

/** "14:03", or "3 Nov 14:03" on another day. */
export const minute = (ms) => `${date(ms)}${minutes.format(new Date(ms))}`;

/** How long ago, from milliseconds. */
export function age(ms) {
  const seconds = Math.max(0, ms) / 1000;
  return seconds < 1.5 ? "just now" : `${duration(seconds)} ago`;
}

/** How long, from seconds: "12 s", "5 min", "3 h", "2 days" */
export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/** "4.2 s" for a short time, else as `duration`. */
export const wait = (seconds) => (seconds < 10 ? `${Math.round(seconds * 10) / 10} s` : duration(seconds));

/** How often, from a rate per second: "12.4/s", "3.1/min", "0.5/h" */
export function perTime(rate) {
  const units = [["s", 1], ["min", 60], ["h", 3600]];
  const [unit, seconds] = units.find(([, each]) => rate * each >= 1) ?? units.at(-1);
  return `${(rate * seconds).toFixed(rate * seconds >= 100 ? 0 : 1)}/${unit}`;
}

/** "a", "a and b", "a, b and c" */
export function list(words) {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** The jobs behind a reading: "12 waiting, 4 running, 30 for later"; with the reading, if that is not the waiting ones. */
export function jobsInWords(items, jobs) {
  if (!jobs) return `${number(items)} waiting`;
  const states = [[jobs.running, "running"], [jobs.stuck, "stuck"], [jobs.future, "for later"]];
  const found = states.filter(([n]) => n > 0).map(([n, words]) => `${number(n)} ${words}`);
  if (jobs.running === undefined) found.push("running not known");
  if (jobs.paused) found.push("paused");
  const words = [`${number(jobs.waiting)} waiting`, ...found].join(", ");
  return items === jobs.waiting ? words : `${number(items)} counted: ${words}`;
}

/** In single quotes for a shell, unless it needs none. */
export const quoted = (word) => (/^[\w.,:/@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** The number of waiting items, if there is a reading now; one from before a failure does not count. */
export const readingOf = (task) => (task.held || task.fallback ? null : task.metric);
