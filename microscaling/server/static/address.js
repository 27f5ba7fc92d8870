// The address of the page: a link keeps the user, the agent, the task, the moment and the time shown.

const KEYS = ["user", "agent", "task", "at", "span"];

/** The choices in the address, as texts; empty ones are not chosen. */
export function chosen() {
  const given = new URLSearchParams(location.search);
  return Object.fromEntries(KEYS.map((key) => [key, given.get(key) ?? ""]));
}

/** The address with these choices. */
export function linkTo(choices) {
  const given = new URLSearchParams(KEYS.filter((key) => choices[key]).map((key) => [key, choices[key]]));
  return `/?${given}`;
}

/** Writes them into the address; `again`: so that the browser's Back leads to the ones before. */
export function keep(choices, again = false) {
  const link = linkTo(choices);
  if (link === `/${location.search}`) return;
  if (again) history.pushState(null, "", link);
  else history.replaceState(null, "", link);
}
