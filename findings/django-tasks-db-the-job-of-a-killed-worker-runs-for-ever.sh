#!/usr/bin/env bash
# django-tasks-db: the job of a worker that was killed is "RUNNING" for good, no worker takes it up, and none says that it is there.
#
# One would assume that a job whose worker has gone (SIGKILL at the end of a grace, the OOM killer, a lost host) is taken up by another
# worker after some time, or fails, as with the other queues in a database; each worker has an id for it, which "MUST be unique".
# A job is claimed by its status alone: there is no heartbeat, no time limit, and no command that looks for such jobs; a new worker asks
# for READY ones. prune_db_task_results leaves it too, as it has not finished.
# For an autoscaler that counts waiting and running jobs each kill is one job that keeps a worker alive for ever, with nothing to do; one
# that counts the waiting ones alone stops at 0, and nobody learns of the job. A second SIGTERM within the grace ends the job as FAILED,
# which is told at least. Look for RUNNING ones that are older than any job may be, and set them to READY.
# Seen with django-tasks-db 0.13.0 (management/commands/db_worker.py, models.py), django-tasks 0.12.0, Django 5.2.8, SQLite.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '{ kill -9 $pid; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check django-tasks-db==0.13.0 django-tasks==0.12.0 django==5.2.8
mkdir "$dir/site" && cd "$dir/site"
cat >conf.py <<'PY'
import os
SECRET_KEY = "of a test"
USE_TZ = True
INSTALLED_APPS = ["django_tasks", "django_tasks_db"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "jobs.db", "OPTIONS": {"transaction_mode": "EXCLUSIVE"}}}
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
PY
cat >jobs.py <<'PY'
import time
from django_tasks import task
@task()
def work(name, seconds):
    print("begun", name, file=open("journal", "a"))
    time.sleep(seconds)
    print("done", name, file=open("journal", "a"))
PY
export DJANGO_SETTINGS_MODULE=conf PYTHONPATH=.
admin() { "$dir/venv/bin/django-admin" "$@"; }
django() {
    "$dir/venv/bin/python" -c "import django; django.setup()
from jobs import work
from django_tasks_db.models import DBTaskResult as D
$1"
}
admin migrate -v 0
django 'work.enqueue("long", 600); work.enqueue("next", 0)'
touch journal
"$dir/venv/bin/django-admin" db_worker --no-startup-delay >log 2>&1 & pid=$!
until grep -q "begun long" journal; do sleep 0.1; done
kill -9 $pid
for _ in 1 2; do admin db_worker --batch >>log 2>&1; sleep 10; done
admin prune_db_task_results --min-age-days 0 --failed-min-age-days 0 >>log 2>&1
found=$(django 'print(len(D.objects.ready()), len(D.objects.running()), len(D.objects.failed()))')
"$dir/venv/bin/pip" list --disable-pip-version-check 2>/dev/null | grep -iE '^(django|django-tasks(-db)?) ' | xargs
echo "a worker was killed in its first job, two more have ended since: $(paste -sd , journal)"
echo "jobs that are ready, running, failed: $found"
[ "$(paste -sd , journal) $found" = "begun long,begun next,done next 0 1 0" ] || { cat log; echo "it is taken up now"; exit 1; }
