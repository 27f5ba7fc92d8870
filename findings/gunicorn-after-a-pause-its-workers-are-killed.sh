#!/usr/bin/env bash
# gunicorn: after a pause of the container for longer than its `timeout`, 30 s, its busy workers are killed, and mostly the idle ones, too.
#
# One would assume that `docker pause` and `unpause` only stop the time for what is inside: main process and workers stand still
# together and go on together, a request in progress goes on where it was, and an idle worker has nothing to lose.
# The main process looks how long ago each worker last gave a sign, and after the pause that is the whole of the pause. A worker in a
# request has no time for another sign; an idle one has, if it is the first to go on. SIGABRT, SIGKILL, "WORKER TIMEOUT", and
# "Perhaps out of memory?" in the log: the request gets a 500 or a closed connection, and what the application had loaded is loaded anew.
# An autoscaler that freezes web containers, to have them warm at once, has them cold, and loses their requests, from the 31st second on;
# shorter tries show nothing of it. uvicorn, hypercorn and granian with two workers went on as they should. Give it --timeout 0,
# or more than any pause. Seen with gunicorn 27.0.1 (arbiter.py: murder_workers). With `docker pause` (20.10.24) nine idle sync
# workers of nine were killed, of gthread workers about half; here SIGSTOP to all processes stands for it.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || { kill -KILL -- "-$pid"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check gunicorn==27.0.1
cd "$dir"
cat >app.py <<'PY'
import time


def app(environ, start):
    if environ["PATH_INFO"] == "/slow":
        for _ in range(20):  # two seconds of work
            time.sleep(0.1)
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
PY
cat >ask.py <<'PY'
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect("socket")
    connection.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
    print((connection.makefile("rb").readline() or b"closed").decode().strip())
PY
workers() { pgrep -P "$pid" | sort | xargs; }
pause() { # SECONDS OF A PAUSE IN THE MIDDLE OF A REQUEST OF TWO; the timeout is 4 s
    setsid venv/bin/gunicorn --workers 3 --timeout 4 --bind "unix:$dir/socket" --no-control-socket app:app 2>log &
    pid=$!
    until [ "$(grep -c 'Booting worker' log)" = 3 ]; do sleep 0.1; done
    sleep 0.5
    before=$(workers)
    python3 ask.py >answer & asking=$!
    sleep 1
    kill -STOP -- "-$pid"
    sleep "$1" && kill -CONT -- "-$pid"
    wait "$asking"
    sleep 2
    left=$(comm -12 <(tr ' ' '\n' <<<"$before") <(workers | tr ' ' '\n') | wc -l)
    kill "$pid" && wait "$pid"
    echo "a pause of $1 s with a timeout of 4 s: of 3 workers $left are left; the request of 2 s: $(cat answer)"
}
venv/bin/gunicorn --version
pause 1
[ "$left, $(cat answer)" = "3, HTTP/1.0 200 OK" ] || exit 1
pause 7
[ "$left" -lt 3 ] && ! grep -q 200 answer || { echo "they go on after it now"; exit 1; }
