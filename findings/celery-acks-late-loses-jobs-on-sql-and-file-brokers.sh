#!/usr/bin/env bash
# Celery with a database or files as its broker: the job of a killed worker is lost, acks_late or not, and done ones stay in the table.
#
# One would assume that with acks_late a job is there until it is acknowledged, so that a worker that was killed costs time and
# no job, as on Redis and RabbitMQ; and that a table of messages has those that are to be done.
# kombu marks the row (visible = 0), or moves the file away, when it hands the message out, and an acknowledgement changes nothing
# any more. Nobody looks for those of dead workers; in the table they are like those that are done, which are never deleted.
# An autoscaler that kills a worker loses what it had taken, with the prefetch of four a process. By the number of rows
# (SELECT count(*)) the queue only ever grows; what waits are those that are visible, and what is lost is in no number. Neither
# broker is for jobs that matter. Seen with celery 5.7.0, kombu 5.7.0 (transport/sqlalchemy, filesystem.py), SQLAlchemy 2.1.9.
set -euo pipefail

dir=$(mktemp -d)
worker=
trap 'kill -9 $worker 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check celery==5.7.0 kombu==5.7.0 SQLAlchemy==2.1.9
cd "$dir"
mkdir sql files files/in
cat >app.py <<'PY'
import os
import time

from celery import Celery

URLS = {"sql": "sqla+sqlite:///sql/db", "files": "filesystem://"}
app = Celery("app", broker=URLS[os.environ["BROKER"]])
folders = {f"data_folder_{way}": "files/in" for way in ("in", "out")} | {"control_folder": "files/control"}
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1,
                broker_transport_options=folders if os.environ["BROKER"] == "files" else {})


@app.task
def work(number):
    for word, seconds in (("begun", 3), ("done", 0)):
        print(word, number, file=open(f"{os.environ['BROKER']}/journal", "a"))
        time.sleep(seconds)
PY
start() { venv/bin/celery -A app worker --pool solo --without-gossip --without-mingle >>"$BROKER/log" 2>&1 & worker=$!; }
seen() { grep -cs "$1" "$BROKER/journal" || true; }
venv/bin/python -c 'import importlib.metadata as m; print(*(f"{name} {m.version(name)}" for name in ("celery", "kombu", "SQLAlchemy")))'
for BROKER in sql files; do
    export BROKER
    venv/bin/python -c 'import app; [app.work.delay(number) for number in range(4)]'
    start
    until [ "$(seen begun)" = 2 ]; do sleep 0.1; done
    { kill -9 $worker && wait $worker; } 2>/dev/null || true
    start
    until [ "$(seen done)" -ge 3 ]; do sleep 0.1; done
    sleep 10
    echo "$BROKER: 4 jobs, the worker killed in the second: $(seen begun) begun, $(seen done) done by the next one's end"
    kill $worker
    wait $worker || true
    [ "$(seen begun) $(seen done)" = "4 3" ] || { echo "it is done now"; exit 1; }
done
rows=$(venv/bin/python -c 'import sqlite3
print(*sqlite3.connect("sql/db").execute("SELECT count(*), sum(visible) FROM kombu_message").fetchone())')
echo "rows in the table, and visible ones: $rows; files left: $(find files/in -type f | wc -l)"
[ "$rows" = "4 0" ] || { echo "rows are deleted now"; exit 1; }
