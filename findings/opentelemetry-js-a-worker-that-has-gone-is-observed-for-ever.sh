#!/usr/bin/env bash
# OpenTelemetry for Node: what an observable gauge told once of a worker or queue is told for ever, with its last value, when it has gone.
#
# One would assume that an observable instrument tells what its callback observes at this collection, no more: the callback goes
# through the workers or queues that there are, and one that has gone is in no answer from then on. The specification asks for that, and
# the SDK for Python does it.
# Here each set of attributes that was observed once stays, gauge and up-down counter alike, with the value that it had, and with the
# time of now: nothing tells it from a fresh value, no staleness of Prometheus and no expiry of a collector ever applies.
# A sum over all workers never falls: 12 jobs in progress stay 12 when the worker with 7 of them was scaled away, until the process that
# observes is started anew. A queue that was renamed or deleted has its backlog for ever, and an autoscaler its workers. Observe a 0
# for each that has gone. Its issue 4096 is open. Seen with @opentelemetry/sdk-metrics 3.1.1 (state/TemporalMetricProcessor), Node 20, and
# with opentelemetry-sdk 1.44.0 of Python. Needs Node and npm.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" @opentelemetry/api@1.10.0 @opentelemetry/sdk-metrics@3.1.1 >/dev/null
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check opentelemetry-sdk==1.44.0
cat >look.cjs <<'JS'
const { MeterProvider, MetricReader } = require("@opentelemetry/sdk-metrics");
class Reader extends MetricReader { async onShutdown() {} async onForceFlush() {} }
const reader = new Reader();
const meter = new MeterProvider({ readers: [reader] }).getMeter("shop");
const running = new Map([["one", 5], ["two", 7]]); // jobs in progress, by worker
const tell = (result) => running.forEach((jobs, worker) => result.observe(jobs, { worker }));
meter.createObservableGauge("gauge").addCallback(tell);
meter.createObservableUpDownCounter("up-down counter").addCallback(tell);
const age = ([seconds, nanoseconds]) => Math.round(Date.now() / 1000 - seconds - nanoseconds / 1e9);
async function seen() {
  const { resourceMetrics } = await reader.collect();
  return resourceMetrics.scopeMetrics[0].metrics.map(({ descriptor, dataPoints }) =>
    `${descriptor.name} ${dataPoints.map((point) => `${point.attributes.worker}=${point.value} (${age(point.endTime)} s old)`).join(" ")}`).join(", ");
}
(async () => {
  console.log("both workers:", await seen());
  running.delete("two");
  await new Promise((resolve) => setTimeout(resolve, 10000));
  console.log("10 s after two has gone:", await seen());
})();
JS
cat >look.py <<'PY'
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

reader, running = InMemoryMetricReader(), {"one": 5, "two": 7}
meter = MeterProvider([reader]).get_meter("shop")
meter.create_observable_gauge("gauge", [lambda _: [Observation(jobs, {"worker": name}) for name, jobs in running.items()]])
seen = lambda: sum(point.value for point in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points)
both = seen()
del running["two"]
print(f"the same with Python: the sum of both {both}, after two has gone {seen()}")
PY
sed -n 's/.*"version": /sdk-metrics /p' node_modules/@opentelemetry/sdk-metrics/package.json
node look.cjs | tee seen
venv/bin/python look.py | tee -a seen
[ "$(grep -c 'gone: gauge.*two=7 ([01] s old), up-down counter.*two=7 ([01] s old)' seen)" = 1 ] || { echo "it forgets them now"; exit 1; }
grep -q "both 12, after two has gone 5" seen
