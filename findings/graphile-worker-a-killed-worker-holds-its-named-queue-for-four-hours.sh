#!/usr/bin/env bash
# Graphile Worker: when a worker is killed, all jobs in the named queue of its job wait for four hours, and count as ready all the while.
#
# One would assume that a named queue (queueName: jobs of one customer, one after the other) is held by a job that runs, and so is free
# when the connection of its worker is gone; that one lost job is what a kill costs (the four hours until that is tried again are
# documented).
# The queue is locked by a row of its own, and what frees it is the same sweep: locked for more than four hours. Until then no worker
# takes any job of that queue. They are due and not locked (graphile_worker.jobs says run_at <= now() and locked_at is null), and are
# counted as what a worker could begin now.
# An autoscaler by that number sees a backlog that no number of workers makes shorter, goes to its maximum and stays there for four
# hours, beside idle workers. Call workerUtils.forceUnlockWorkers([ID]) for each worker that was killed (then its job is run again, and
# the queue goes on), and count without the jobs of locked queues (graphile_worker._private_job_queues.is_available = false).
# Seen with graphile-worker 0.18.0 (dist/sql/getJobs.js, resetLockedAt.js), PostgreSQL 15. Needs PostgreSQL.
set -euo pipefail

bin=$(find /usr/lib/postgresql -name initdb -printf '%h\n' 2>/dev/null | tail -1)
[ -n "$bin" ] || { echo "needs PostgreSQL"; exit 77; }
dir=$(mktemp -d) port=${PORT:-39442} pids=()
trap '{ kill -9 "${pids[@]:1}"; kill "${pids[0]}"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
as=(env); [ "$(id -u)" != 0 ] || { as=(setpriv --reuid nobody --regid nogroup --clear-groups); chmod 755 "$dir"; }
cd "$dir"; mkdir -m 777 db
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" graphile-worker@0.18.0 >/dev/null
"${as[@]}" "$bin/initdb" -D "$dir/db/data" -A trust -U postgres >/dev/null
"${as[@]}" "$bin/postgres" -D "$dir/db/data" -k "$dir/db" -p "$port" -c listen_addresses=127.0.0.1 -c fsync=off >db.log 2>&1 &
pids+=($!)
until "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; do kill -0 "${pids[0]}"; sleep 0.2; done
cat >worker.mjs <<'JS'
import { run } from "graphile-worker";
import { appendFileSync } from "node:fs";
const mail = async ({ name, seconds }) => {
  appendFileSync("begun", `${name}\n`);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
};
await (await run({ connectionString: process.argv[2], concurrency: 3, pollInterval: 500, taskList: { mail } })).promise;
JS
cat >look.mjs <<'JS'
import { makeWorkerUtils } from "graphile-worker";
const utils = await makeWorkerUtils({ connectionString: process.argv[2] });
const add = (name, seconds, queueName) => utils.addJob("mail", { name, seconds }, { queueName });
if (process.argv[3] === "add") for (const name of ["first", "second", "third", "fourth"]) await add(name, name === "first" ? 600 : 0, "customer-1");
if (process.argv[3] === "other") await add("other", 0, "customer-2");
if (process.argv[3] === "unlock") await utils.forceUnlockWorkers((await utils.withPgClient((client) =>
  client.query("SELECT DISTINCT locked_by FROM graphile_worker.jobs WHERE locked_by IS NOT NULL"))).rows.map((row) => row.locked_by));
const { rows } = await utils.withPgClient((client) => client.query(
  `SELECT count(*)::int AS ready, count(*) FILTER (WHERE coalesce(queue_name, '') NOT IN (SELECT queue_name FROM
    graphile_worker._private_job_queues WHERE NOT is_available))::int AS free FROM graphile_worker.jobs WHERE run_at <= now() AND locked_at IS NULL`));
console.log(`ready ${rows[0].ready}, in free queues ${rows[0].free}`);
await utils.release();
JS
look() { node look.mjs "postgres://postgres@127.0.0.1:$port/postgres" "$1"; }
worker() { node worker.mjs "postgres://postgres@127.0.0.1:$port/postgres" >>log 2>&1 & pids+=($!); }
until_begun() { for _ in $(seq 120); do [ "$(grep -cs "$1" begun)" != "${2:-1}" ] || break; sleep 0.5; done; }
echo "graphile-worker 0.18.0, four jobs in one named queue: $(look add)"
worker; until_begun first
{ kill -9 "${pids[1]}"; wait "${pids[1]}"; } 2>/dev/null || true
worker; look other >/dev/null; until_begun other; sleep 20
echo "the worker is killed in the first; another one, for 20 s: $(look -), begun: $(tr '\n' ' ' <begun)"
[ "$(look -), $(tr '\n' ' ' <begun)" = "ready 3, in free queues 0, first other " ] || { echo "it is free now"; exit 1; }
look unlock >/dev/null; until_begun first 2
echo "the dead worker is unlocked: $(look -), begun: $(tr '\n' ' ' <begun)"
