#!/usr/bin/env bash
# Procrastinate: a job for later holds up all due jobs with its lock, until its time comes.
#
# One would assume that `lock` keeps two jobs from running at once, so that a job that is scheduled for tomorrow, or waits
# for its next try, is in no other's way today; its documentation says that a job which is not available yet is passed over.
# procrastinate_fetch_job_v2 takes only the first of the jobs with a lock, by priority and id, and does not look at the
# time of the others: while the first is for later, workers get nothing, though all jobs behind it are due.
# An autoscaler that counts `todo` jobs whose time has come starts workers, which idle, as long as that lasts; with one
# retry of a day's backoff a day. What may run now are the jobs without a lock, and of each lock the first, if it is due.
# Seen with Procrastinate 3.10.0 (sql/schema.sql), PGlite 0.5.17; it is issue 1599 of procrastinate-org/procrastinate.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip --disable-pip-version-check install -q --no-deps --target "$dir/python" procrastinate==3.10.0
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" @electric-sql/pglite@0.5.17 >/dev/null
cat >look.cjs <<'JS'
const assert = require("node:assert");
const { readFileSync } = require("node:fs");
const { PGlite } = require("@electric-sql/pglite");

(async () => {
  const db = new PGlite();
  await db.exec(readFileSync("python/procrastinate/sql/schema.sql", "utf8"));
  const one = async (sql) => (await db.query(sql)).rows[0];
  const worker = (await one("SELECT worker_id AS id FROM procrastinate_register_worker_v1()")).id;
  const put = async (lock, after) =>
    (await one(`SELECT unnest(procrastinate_defer_jobs_v1(ARRAY[ROW('q', 't', 0, ${lock}, NULL, '{}', ${after})
      ::procrastinate_job_to_defer_v1])) AS id`)).id;
  const fetch = async () => (await one(`SELECT id FROM procrastinate_fetch_job_v2(NULL, ${worker})`)).id;
  const later = await put("'a'", "now() + interval '1 day'");
  const due = [await put("'a'", "NULL"), await put("'a'", "NULL")];
  const counted = (await one("SELECT count(*)::int AS n FROM procrastinate_jobs WHERE status = 'todo' " +
    "AND (scheduled_at IS NULL OR scheduled_at <= now())")).n;
  const got = await fetch();
  await db.query(`UPDATE procrastinate_jobs SET scheduled_at = now() WHERE id = ${later}`);
  const then = await fetch();
  console.log(`${counted} jobs are due, behind one for tomorrow with the same lock: a worker gets ${got}`);
  console.log(`its time has come: a worker gets job ${then}, which is that one`);
  await db.close();
  assert.deepStrictEqual([counted, got, then, due.length], [2, null, later, 2], "it takes those that are due");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
JS
basename python/procrastinate-*.dist-info .dist-info
node look.cjs
