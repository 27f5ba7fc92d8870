#!/usr/bin/env bash
# pg-boss: the counts of a queue are up to an hour old, a minute with { force: true }, and an old one looks like a new one.
#
# One would assume that getQueueStats(NAME) asks the database how many jobs wait, or, if it keeps counts, that
# { force: true } counts them now.
# The counts stand in the queue's row, where a boss that supervises writes them once a minute. Where none does (workers
# with supervise: false, a scale to zero) the first call counts, and whoever calls in the next hour gets that again; with
# force in the next minute. getQueue() never counts: it says 0 before the first time.
# An autoscaler that asks once a second with no worker there reads 0 for an hour after the queue was empty once, and does
# not start the first; the other way round it keeps workers for jobs that are done. `capturedOn` tells the age; count
# with findJobs(NAME, { queued: true }), or in SQL.
# Seen with pg-boss 12.38.0 (dist/manager.js, getQueueStats), PGlite 0.5.17.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" pg-boss@12.38.0 @electric-sql/pglite@0.5.17 >/dev/null
cat >look.cjs <<'JS'
const assert = require("node:assert");
const { PGlite } = require("@electric-sql/pglite");
const { PgBoss, fromPglite } = require("pg-boss");

(async () => {
  const lite = new PGlite();
  const boss = new PgBoss({ db: fromPglite(lite), backend: "pglite", supervise: false, schedule: false });
  boss.on("error", (error) => console.error(error));
  await boss.start();
  const stats = async (name, options) => (await boss.getQueueStats(name, options))[0].readyCount;
  const look = async (name) => ({
    stats: await stats(name),
    force: await stats(name, { force: true }),
    queue: (await boss.getQueue(name)).readyCount,
    found: (await boss.findJobs(name, { queued: true })).length,
  });
  await boss.createQueue("filled");
  await boss.createQueue("emptied");
  for (let job = 0; job < 3; job++) await boss.send("emptied", {});
  await stats("filled");
  await stats("emptied");
  for (let job = 0; job < 3; job++) await boss.send("filled", {});
  for (const job of await boss.fetch("emptied", { batchSize: 3 })) await boss.complete("emptied", job.id);
  const [filled, emptied] = [await look("filled"), await look("emptied")];
  await lite.exec("UPDATE pgboss.queue SET monitor_on = monitor_on - interval '59 minutes'");
  const later = { stats: await stats("filled"), force: await stats("filled", { force: true }) };
  console.log("pg-boss", require("pg-boss/package.json").version);
  console.log("was empty, got three jobs: ", JSON.stringify(filled));
  console.log("had three jobs, all done:  ", JSON.stringify(emptied));
  console.log("the first, 59 minutes later:", JSON.stringify(later));
  await boss.stop({ graceful: false });
  await lite.close();
  assert.deepStrictEqual(filled, { stats: 0, force: 0, queue: 0, found: 3 }, "it counts now");
  assert.deepStrictEqual(emptied, { stats: 3, force: 3, queue: 3, found: 0 }, "it counts now");
  assert.deepStrictEqual(later, { stats: 0, force: 3 }, "it counts sooner, or later, now");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
JS
node look.cjs
