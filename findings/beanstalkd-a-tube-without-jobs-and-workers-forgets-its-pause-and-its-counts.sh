#!/usr/bin/env bash
# beanstalkd: a tube that is empty and has no worker is not there, and the one that comes next is not paused and counts from 0.
#
# One would assume that a tube which is paused for an hour (pause-tube, for a deploy or an outage behind it) stays so for that hour,
# that its length without jobs is 0, and that total-jobs and cmd-delete, "cumulative" in the protocol, only go up.
# A tube is deleted when it has no job and no client uses or watches it (in the protocol), and all that goes with it. stats-tube is
# then NOT_FOUND, an error; the next job makes a new tube of that name, without the pause: the first worker gets it at once.
# Scaling to zero is what brings this about: the last worker that stops takes the tube, its pause and its counts along. An autoscaler
# that takes an error for "keep what is there" never comes from 0 to 1 or back, one by a rate of cmd-delete sees it fall below zero,
# and a pause holds only while there are workers. Take NOT_FOUND as 0, and let a client that stays (the reader itself) `watch` the tube.
# Seen with beanstalkd 1.12 (Debian 12; tube.c, prot.c), greenstalk 2.1.1. Needs beanstalkd.
set -euo pipefail

command -v beanstalkd >/dev/null || { echo "needs beanstalkd"; exit 77; }
dir=$(mktemp -d) port=${PORT:-41300}
trap '{ kill "$pid"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check greenstalk==2.1.1
beanstalkd -l 127.0.0.1 -p "$port" &
pid=$!
cat >"$dir/look.py" <<'PY'
import sys, time, greenstalk
def client(**more):
    for _ in range(100):
        try:
            return greenstalk.Client(("127.0.0.1", int(sys.argv[1])), **more)
        except ConnectionRefusedError:
            time.sleep(0.1)
def put(count):
    with client(use="mail") as web:
        [web.put("job") for _ in range(count)]
def look():
    try:
        seen = reader.stats_tube("mail")
    except greenstalk.NotFoundError:
        return "NOT_FOUND"
    return {name: seen[name] for name in ("current-jobs-ready", "total-jobs", "cmd-delete")} | {"paused": seen["pause-time-left"] > 3000}
reader = client()
put(3)
with client(watch="mail") as worker:
    for _ in range(3):
        worker.delete(worker.reserve(timeout=10))
    reader.pause_tube("mail", 3600)
    print("a worker has done three jobs, and its tube is paused for an hour:", first := look())
time.sleep(2)
print("the worker is stopped:", gone := look())
put(1)
print("one job comes:", now := look())
with client(watch="mail") as worker:
    print("a worker starts within the hour and gets:", got := worker.reserve(timeout=10).body)
assert (first, gone) == ({"current-jobs-ready": 0, "total-jobs": 3, "cmd-delete": 3, "paused": True}, "NOT_FOUND"), "it stays now"
assert (now, got) == ({"current-jobs-ready": 1, "total-jobs": 1, "cmd-delete": 0, "paused": False}, "job"), "it stays now"
PY
beanstalkd -v
"$dir/venv/bin/python" "$dir/look.py" "$port"
