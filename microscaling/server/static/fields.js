// The fields of an app's form: their places in the configuration, and their names. They are made of the server's
// declarations (GET /api/schema); without those, everything that belongs to a rule or a metric is written as JSON.

/** `path`: its place in the app. `kind`: text, whole, number, choice, flag or json. `when`: whether it is shown. */
const BASE = [
  { path: "name", label: "Name", kind: "text" },
  { path: "priority", label: "Priority", kind: "whole" },
  { path: "minContainers", label: "At least", kind: "whole" },
  { path: "maxContainers", label: "At most", kind: "whole" },
  { path: "ruleType", label: "Rule", kind: "text" },
  { path: "metricType", label: "Metric", kind: "text" },
];
const MORE = {
  path: "config",
  label: "More of its config, as JSON",
  kind: "json",
  wide: true,
  hint: 'env, networks, ports, volumes, memory …, as {"env": {"LOG_LEVEL": "info"}}',
};
const SEVERAL = {
  path: "metrics",
  label: "Several metrics, as JSON",
  kind: "json",
  wide: true,
  hint: 'in place of rule and queue above: [{"ruleType": "Wait", "metricType": "NSQ", …}, …]',
};
const UNSET = ["", "choose one"];
const FORM_KINDS = ["text", "url", "whole", "number", "choice", "flag"];

/** The fields for a server without declarations. */
export const plainFields = () => numbered([...BASE, MORE]);

/** The fields for these declarations. Throws TypeError if they are none. */
export function fieldsOf({ rules, metrics, app, config }) {
  const measuring = rules.filter(({ measures }) => measures).map(({ typeName }) => typeName);
  const several = ({ metrics: text }) => Boolean(text?.trim());
  const measured = (values) => !several(values) && measuring.includes(values.ruleType);
  const special = {
    ruleType: {
      kind: "choice",
      choices: rules.map(({ typeName, summary }) => [typeName, summary || typeName]),
      when: (values) => !several(values),
    },
    metricType: { kind: "choice", choices: metrics.map(({ typeName }) => [typeName, typeName]), when: measured },
  };
  const inForm = ({ inForm }) => inForm;
  const ofApp = app.filter(inForm).map((field) => fieldOf(field, field.key, special[field.key]));
  const ofRules = rules.map((rule) => ofPlugin(rule, (values) => !several(values) && values.ruleType === rule.typeName));
  const ofMetrics = metrics.map((metric) =>
    ofPlugin(metric, (values) => measured(values) && values.metricType === metric.typeName),
  );
  const ofConfig = config.filter(inForm).map((field) => fieldOf(field, `config.${field.key}`));
  const ofSeveral = app.some(({ key }) => key === SEVERAL.path) ? [SEVERAL] : []; // an older server has none
  return numbered([...ofApp, ...merged([...ofRules, ...ofMetrics].flat()), ...ofSeveral, ...ofConfig, MORE]);
}

const ofPlugin = ({ fields }, when) =>
  fields.filter(({ kind }) => FORM_KINDS.includes(kind)).map((field) => fieldOf(field, `config.${field.key}`, { when }));

function fieldOf({ key, label, kind, wide, hint, choices, default: otherwise }, path, more = {}) {
  let named = choices.map((name) => [name, name]);
  if (kind === "flag") named = ["true", "false"].map((name) => [name, name]);
  const field = { path, label: label || key, kind, wide, hint, otherwise, choices: named, ...more };
  if (field.choices.length && (otherwise ?? null) === null) field.choices = [UNSET, ...field.choices];
  return field;
}

/** Of fields that several rules or metrics declare alike, one. */
function merged(fields) {
  const found = new Map();
  for (const field of fields) {
    const alike = JSON.stringify(field);
    const { when } = found.get(alike) ?? {};
    found.set(alike, when ? { ...field, when: (values) => when(values) || field.when(values) } : field);
  }
  return [...found.values()];
}

/** Each with an id of its own: two metrics may have different fields of one path. */
function numbered(fields) {
  const seen = new Map();
  return fields.map((field) => {
    const count = seen.get(field.path) ?? 0;
    seen.set(field.path, count + 1);
    return { ...field, id: count ? `${field.path}.${count}` : field.path };
  });
}

const keyOf = (object, key) => Object.keys(object).find((name) => name.toLowerCase() === key.toLowerCase()) ?? key;

/** The value at a path of an app; keys match in any case. */
export function valueAt(app, path) {
  let value = app;
  for (const key of path.split(".")) value = value && typeof value === "object" ? value[keyOf(value, key)] : undefined;
  return value;
}

function put(app, path, value) {
  const keys = path.split(".");
  const last = keys.pop();
  let place = app;
  for (const key of keys) {
    const name = keyOf(place, key);
    if (!place[name] || typeof place[name] !== "object") place[name] = {};
    place = place[name];
  }
  if (value === undefined) delete place[keyOf(place, last)];
  else place[keyOf(place, last)] = value;
}

/** The keys of `config` that have fields of their own, in lower case. */
const known = (fields) =>
  fields.filter(({ path }) => path.startsWith("config.")).map(({ path }) => path.slice("config.".length).toLowerCase());

/** The text that a field shows for an app. */
export function textOf(app, { path, kind, choices, otherwise }, fields) {
  const value = valueAt(app, path);
  if (path === SEVERAL.path) return value ? JSON.stringify(value, null, 2) : "";
  if (kind === "json") {
    const more = Object.entries(value ?? {}).filter(([key]) => !known(fields).includes(key.toLowerCase()));
    return more.length ? JSON.stringify(Object.fromEntries(more), null, 2) : "";
  }
  if (choices?.length && !choices.some(([name]) => name === String(value))) return String(otherwise ?? "");
  return value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
}

/** The app to write, made from the one before; anything without a field stays. `values`: texts by the fields' ids.
 * Throws SyntaxError, with the `path` of its field, for bad JSON. */
export function appFrom(before, values, fields) {
  const app = structuredClone(before);
  const more = parsed(values, "config") ?? {};
  if (typeof more !== "object" || more === null || Array.isArray(more)) throw wrong("config", "expected an object");
  const kept = Object.entries(valueAt(app, "config") ?? {}).filter(([key]) => known(fields).includes(key.toLowerCase()));
  put(app, "config", { ...Object.fromEntries(kept), ...more });
  for (const field of fields) {
    if (field.path === SEVERAL.path) put(app, field.path, parsed(values, field.path));
    if (field.kind === "json") continue;
    if (!field.when || field.when(values)) put(app, field.path, written(field, values[field.id].trim(), valueAt(before, field.path)));
    else if (["ruleType", "metricType"].includes(field.path)) put(app, field.path, undefined);
  }
  return app;
}

const wrong = (path, message) => Object.assign(new SyntaxError(message), { path });

/** The value of a field for JSON; undefined if it is empty. */
function parsed(values, path) {
  const text = values[path].trim();
  try {
    return text ? JSON.parse(text) : undefined;
  } catch (error) {
    throw wrong(path, error.message);
  }
}

/** The list that a text is in JSON; undefined for other texts, such as the command `[ -e file ]`. */
function listOf(text) {
  try {
    const value = JSON.parse(text);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The value of a text; undefined if the key is to be absent. */
function written({ path, kind, otherwise }, text, before) {
  if (text === "" || (before === undefined && text === String(otherwise ?? ""))) return undefined;
  if (kind === "flag") return text === "true";
  if (path === "config.command" && text.startsWith("[")) return listOf(text) ?? text;
  // Anything but a number goes as it is, and the server answers with the problem, as it does for a file.
  if (kind === "whole" && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (kind === "number" && /^-?\d{1,15}(\.\d{1,15})?$/.test(text)) return Number(text);
  return text;
}
