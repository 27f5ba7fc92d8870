#!/usr/bin/env bash
# gunicorn: at SIGTERM a busy worker finishes one request; those that wait for it in line are cut off, however long the grace.
#
# One would assume that a graceful stop with graceful_timeout=30 serves what has come in before it: the connections are made, the
# requests are sent, and thirty seconds are enough for all of them.
# A sync worker has no connection but the one it works on. All others wait in the kernel, in the backlog of the socket (2048), and
# gunicorn closes the socket when its workers have ended: the kernel resets each of them, and gunicorn ends after a tenth of its grace.
# Their clients have "connection reset" for a request that no one has begun, with nothing in a log. A proxy in front has passed it on, and
# may not try again: HAProxy by itself does so only before a connection is made, nginx not for POST.
# A copy that is taken away at a moment of load, as one of several or in a rolling restart, loses its whole line. Take it out of the
# proxy first, and send SIGTERM when it has no requests; or limit its connections there (maxconn 1 for each worker), so that the line
# is in the proxy. Threads and async workers take connections in at once, and serve all that they have.
# Seen with gunicorn 27.0.1 (workers/sync.py: run_for_one; arbiter.py: stop); its issue 3397 (open). Needs curl.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '{ kill -KILL $pid; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check gunicorn==27.0.1
cd "$dir"
cat >app.py <<'PY'
import time


def app(environ, start):
    time.sleep(1)
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
PY
look() { # OPTIONS: five requests of a second each, SIGTERM when the first is being served
    venv/bin/gunicorn --workers 1 "$@" --graceful-timeout 30 --bind "unix:$dir/socket" --no-control-socket app:app 2>log &
    pid=$!
    until grep -q "Booting worker" log; do sleep 0.1; done
    sleep 0.5
    asking=()
    for i in 1 2 3 4 5; do
        curl -s --unix-socket socket -o /dev/null -w '%{http_code}\n' http://app/ >"answer$i" & asking+=($!)
    done
    sleep 0.5
    local begin=$SECONDS
    kill "$pid"
    wait "$pid" || true
    wait "${asking[@]}" || true
    answers=$(sort answer? | uniq -c | xargs)
    echo "gunicorn --workers 1 $*: it ended after $((SECONDS - begin)) s of 30; answers (000: none): $answers"
}
venv/bin/gunicorn --version
look --threads 1
[ "$answers" = "4 000 1 200" ] || { echo "it serves the line now"; exit 1; }
look --threads 8
[ "$answers" = "5 200" ]
