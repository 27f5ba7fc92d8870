// The fields of an app's form: their places in the configuration, and what they are called.

const QUEUES = ["Queue", "SimpleQueue"];
const of = (metric) => (values) => QUEUES.includes(values.ruleType) && values.metricType === metric;
const queue = (values) => QUEUES.includes(values.ruleType);

/** `path`: where it stands in the app. `kind`: text, whole, choice or json. `when`: whether it is asked for. */
export const FIELDS = [
  { path: "name", label: "Name", kind: "text", hint: "containers carry it in a label" },
  { path: "priority", label: "Priority", kind: "whole", hint: "1 is more important than 2" },
  { path: "minContainers", label: "At least", kind: "whole", hint: "containers it keeps" },
  { path: "maxContainers", label: "At most", kind: "whole", hint: "containers" },
  {
    path: "ruleType",
    label: "Gets",
    kind: "choice",
    wide: true,
    choices: [
      ["Queue", "what its queue needs (by length and velocity)"],
      ["SimpleQueue", "one more when its queue is too long, one fewer when shorter"],
      ["Remainder", "what the others leave"],
    ],
  },
  {
    path: "metricType",
    label: "Its queue is in",
    kind: "choice",
    when: queue,
    choices: ["NSQ", "Redis", "SQS", "AzureQueue", "HTTP", "SQL"].map((name) => [name, name]),
  },
  { path: "config.targetQueueLength", label: "Target length", kind: "whole", when: queue, hint: "items that may wait" },
  { path: "config.topicName", label: "Topic", kind: "text", when: of("NSQ") },
  { path: "config.channelName", label: "Channel", kind: "text", when: of("NSQ") },
  { path: "config.queueURL", label: "URL of the queue", kind: "text", wide: true, when: of("SQS") },
  { path: "config.queueName", label: "Name of the queue", kind: "text", when: of("AzureQueue") },
  { path: "config.url", label: "URL", kind: "text", wide: true, when: (v) => of("HTTP")(v) || of("Redis")(v) },
  { path: "config.path", label: "JSON path to the number", kind: "text", wide: true, when: of("HTTP") },
  { path: "config.key", label: "Key", kind: "text", when: of("Redis") },
  { path: "config.kind", label: "Kind", kind: "text", when: of("Redis"), hint: "list, stream or group" },
  { path: "config.group", label: "Group", kind: "text", when: of("Redis") },
  { path: "config.databaseURL", label: "Database", kind: "text", wide: true, when: of("SQL"), hint: "sqlite:////path/of/it.db" },
  { path: "config.query", label: "Query that yields one number", kind: "text", wide: true, when: of("SQL") },
  { path: "config.image", label: "Image", kind: "text", wide: true, hint: "example/worker:1.4" },
  { path: "config.command", label: "Command", kind: "text", wide: true, hint: "empty: the image's own" },
  {
    path: "config",
    label: "More of its config, as JSON",
    kind: "json",
    wide: true,
    hint: 'env, networks, ports, volumes, memory …, as {"env": {"LOG_LEVEL": "info"}}',
  },
];

const inConfig = FIELDS.filter(({ path }) => path.startsWith("config.")).map(({ path }) => path.slice(7));

const keyOf = (object, key) => Object.keys(object).find((name) => name.toLowerCase() === key.toLowerCase()) ?? key;

/** What stands at a path of an app; keys match in any case. */
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

/** What a field shows of an app. */
export function textOf(app, { path, kind, choices }) {
  const value = valueAt(app, path);
  if (kind === "json") {
    const known = inConfig.map((key) => key.toLowerCase());
    const more = Object.entries(value ?? {}).filter(([key]) => !known.includes(key.toLowerCase()));
    return more.length ? JSON.stringify(Object.fromEntries(more), null, 2) : "";
  }
  if (kind === "choice" && !choices.some(([name]) => name === value)) return choices.at(path === "ruleType" ? -1 : 0)[0];
  return value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
}

/** The app that is written, made from the one before; what is not in the form stays. Throws what JSON.parse throws. */
export function appFrom(before, values) {
  const app = structuredClone(before);
  const more = values.config.trim() ? JSON.parse(values.config) : {};
  if (typeof more !== "object" || more === null || Array.isArray(more)) throw new SyntaxError("expected an object");
  const kept = Object.entries(valueAt(app, "config") ?? {}).filter(([key]) =>
    inConfig.some((name) => name.toLowerCase() === key.toLowerCase()),
  );
  put(app, "config", { ...Object.fromEntries(kept), ...more });
  for (const { path, kind, when } of FIELDS) {
    if (kind === "json") continue;
    if (when && !when(values)) {
      if (path === "metricType") put(app, path, undefined);
      continue;
    }
    const text = values[path].trim();
    // What is no number goes as it is: the server says what is wrong with it, as it does with a file.
    if (text === "") put(app, path, undefined);
    else put(app, path, kind === "whole" && /^-?\d{1,15}$/.test(text) ? Number(text) : text);
  }
  return app;
}
