#!/usr/bin/env bash
# DBOS: a second worker that starts begins all jobs in progress of the first once more, beside it.
#
# One would assume that "durable" workflows in a queue are run by one worker at a time, and that a worker which starts takes over
# what a dead one has left: the other one is alive, and works on it.
# At its start a worker puts back what is pending under its own executor id, and without one in the configuration
# (DBOS__VMID, executor_id) all workers are "local". So it takes the jobs in progress, from their last step, from those at work.
# An autoscaler starts workers because there is a backlog, and each start doubles the jobs in progress, with effects that count
# twice. With an id of its own for each worker (as its page on recovery asks for) this does not happen, but then the jobs of a
# worker that has gone stay PENDING, in no queue, until one of that name comes, or somebody has that id's jobs recovered.
# Seen with dbos 3.4.0 (dbos/_recovery.py), SQLite.
set -euo pipefail

dir=$(mktemp -d)
workers=() seen=()
trap '{ kill -9 "${workers[@]}"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check dbos==3.4.0
cd "$dir"
cat >app.py <<'PY'
import os, sys, time
from dbos import DBOS
place, own, jobs = sys.argv[1], sys.argv[2], sys.argv[3:]
config = {"name": "app", "system_database_url": f"sqlite:///{place}.sqlite", "application_version": "1", "log_level": "ERROR"}
DBOS(config=config | ({} if own == "-" else {"executor_id": own}))
@DBOS.workflow()
def work(job):
    print("begun", job, "by", os.getpid(), file=open(f"{place}.journal", "a"))
    time.sleep(60)
DBOS.launch()
DBOS.register_queue("mail", worker_concurrency=2)
for job in jobs:
    DBOS.enqueue_workflow("mail", work, job)
time.sleep(60)
PY
worker() { # PLACE ID JOB...
    venv/bin/python app.py "$@" >>log 2>&1 &
    workers+=($!)
}
look() { # PLACE, and how often jobs have been begun by then
    for _ in $(seq 100); do [ "$(grep -cs begun "$1.journal")" != "$2" ] || break; sleep 0.2; done
    sleep 8
    seen+=("begun $(wc -l <"$1.journal") times by $(sort -k 4 -u "$1.journal" | wc -l)")
}
venv/bin/pip list 2>/dev/null | grep '^dbos '
worker same - one two
look same 2
worker same -
look same 4
worker own first one two
look own 2
{ kill -9 $! && wait $!; } 2>/dev/null || true
worker own second
look own 2
worker own first
look own 4
echo "two jobs in a queue, a worker: ${seen[0]}; a second beside it: ${seen[1]}"
echo "with ids of their own, the first: ${seen[2]}; it is killed, and another comes: ${seen[3]}; one of its name: ${seen[4]}"
[ "${seen[*]}" = "begun 2 times by 1 begun 4 times by 2 begun 2 times by 1 begun 2 times by 1 begun 4 times by 2" ] ||
    { echo "they are begun otherwise now"; exit 1; }
