#!/usr/bin/env bash
# prom-client in a cluster of Node: a queue's length is told once for each process, added up; and one busy process takes all metrics away.
#
# One would assume that clusterMetrics() tells a gauge which every process sets to the same, the length of their queue, as that length;
# and that a process which does not answer is left out of the answer, or its last values are used.
# All gauges are added up unless each is made with an aggregator of its own ("max"): 100 jobs and four processes are 400. While one of
# them computes for more than five seconds, the whole answer is an error, "Operation timed out."; while none is connected it is an empty
# text, with success.
# By that number an autoscaler of the processes feeds itself: four times as many seem to be needed as soon as there are four. And at the
# highest load there is no metric, so that it holds, or takes it for nothing. Measure the queue in the primary process.
# Seen with prom-client 15.1.3 (lib/cluster.js, lib/metricAggregators.js), Node 20. Needs Node and npm.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" prom-client@15.1.3 >/dev/null
cat >look.cjs <<'JS'
const [assert, cluster, prom] = ["node:assert", "node:cluster", "prom-client"].map(require);
async function look() {
  const registry = new prom.AggregatorRegistry();
  const tell = async () => {
    try {
      return (await registry.clusterMetrics()).match(/^jobs_waiting .*/m)?.[0] ?? "no such line";
    } catch (error) {
      return error.message;
    }
  };
  const ready = (worker) => new Promise((resolve) => worker.on("message", (message) => message === "ready" && resolve()));
  const seen = [];
  const workers = [];
  for (const count of [1, 4]) {
    while (workers.length < count) workers.push(cluster.fork());
    await Promise.all(workers.slice(count === 1 ? 0 : 1).map(ready));
    seen.push(await tell());
  }
  workers[0].send("work");
  await new Promise((resolve) => setTimeout(resolve, 500));
  seen.push(await tell());
  for (const worker of workers) worker.kill("SIGKILL");
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.on("disconnect", resolve))));
  seen.push(await tell());
  console.log("prom-client", require("prom-client/package.json").version, "Node", process.version, "- 100 jobs wait;");
  console.log("one process, four, four of which one is busy for 8 s, none:", seen);
  assert.deepStrictEqual(seen, ["jobs_waiting 100", "jobs_waiting 400", "Operation timed out.", "no such line"], "told otherwise now");
}

function work() {
  new prom.AggregatorRegistry(); // answers the primary process
  new prom.Gauge({ name: "jobs_waiting", help: "Length of the queue" }).set(100);
  process.on("message", (message) => { if (message === "work") for (const ends = Date.now() + 8000; Date.now() < ends;); });
  process.send("ready");
}

if (cluster.isPrimary) look().catch((error) => { console.error(error); process.exit(1); });
else work();
JS
node look.cjs
