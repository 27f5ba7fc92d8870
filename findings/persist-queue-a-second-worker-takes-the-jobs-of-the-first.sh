#!/usr/bin/env bash
# persist-queue: a second worker that opens the queue is given the jobs on which the first one works.
#
# One would assume that SQLiteAckQueue, whose jobs are "unacked" from get() to ack(), keeps those of a living worker away from
# others, and gives back those of a dead one; that is what acknowledging is for, and nothing says that only one may open the file.
# Whoever opens the file (auto_resume=True, the default) makes all jobs that are not acknowledged ready again, whosever they are.
# With auto_resume=False nobody ever gets those of a worker that was killed. And `size` is counted in each process by itself,
# from what the file had when it was opened: jobs that others add or take are not in it.
# An autoscaler starts a worker because jobs wait, and each start has all running jobs begun once more; and it cannot count the
# backlog by `size`. Count in SQL (status 0 and 1 wait, 2 is taken), and let one process call resume_unack_tasks() when none works.
# Seen with persist-queue 1.1.0 (persistqueue/sqlackqueue.py).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check persist-queue==1.1.0
cd "$dir"
cat >worker.py <<'PY'
import sys

from persistqueue import SQLiteAckQueue

queue = SQLiteAckQueue("jobs", multithreading=True)
print(queue.get(block=False), flush=True)  # and works on it
sys.stdin.read()
PY
cat >look.py <<'PY'
import importlib.metadata
import subprocess
import sys

from persistqueue import SQLiteAckQueue


def start():
    worker = subprocess.Popen([sys.executable, "worker.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return worker, worker.stdout.readline().strip()


queue = SQLiteAckQueue("jobs", multithreading=True)
for name in ("job 1", "job 2", "job 3"):
    queue.put(name)
workers = [start() for _ in range(3)]
taken = [job for _, job in workers]
print("persist-queue", importlib.metadata.version("persist-queue"))
print("three jobs; three workers, started one after the other, all alive, have got:", taken)
print("size says", size := queue.size, "where the jobs were put")
for worker, _ in workers:
    worker.communicate()
assert (taken, size) == (["job 1"] * 3, 3), "each has a job of its own now, or they are counted"
PY
venv/bin/python look.py
