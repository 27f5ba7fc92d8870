#!/usr/bin/env bash
# tini (`docker run --init`) with gunicorn: the signals for one worker more or one less never reach it, and nothing says so.
#
# One would assume that tini passes on every signal that its container gets, as it does with TERM, HUP and USR1, so that
# `docker kill -s TTIN` gives gunicorn one worker more and TTOU one less, as its documentation has it.
# tini ignores SIGTTIN and SIGTTOU itself, so as not to be stopped by a terminal when it gives the foreground away. `docker kill` says
# the container's name and exits with 0; the number of workers stays. The same goes for Sidekiq's TTIN (its backtraces).
# Whoever scales the workers in a container this way, by load, sends signal after signal, and has the one number for ever; without an
# init, or in a Compose file without `init: true`, the same command works. Signal the process itself (docker exec ... kill -TTIN), as
# PID 2 or 7; not by dumb-init, which freezes the whole on TTIN. Seen with tini 0.19.0 (configure_signals), gunicorn 27.0.1.
# Needs tini (or docker-init, which is the same).
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '{ kill "$(cat "$dir/pid")"; kill $pid; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
tini=$(command -v tini || command -v docker-init)
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check gunicorn==27.0.1
cd "$dir"
printf 'def app(environ, start):\n    start("200 OK", [])\n    return []\n' >app.py
workers() { # EXPECTED: waits 10 s at most for that number, and tells the number
    local count=0
    for _ in $(seq 100); do
        count=$(cat "/proc/$(cat pid)/task/$(cat pid)/children" | wc -w)
        [ "$count" != "$1" ] || break
        sleep 0.1
    done
    echo "$count"
}
"$tini" --version
venv/bin/gunicorn --version
seen=()
for init in "" "$tini -s --"; do
    rm -f pid
    $init venv/bin/gunicorn --workers 2 --bind "unix:$dir/socket" --pid pid --no-control-socket app:app 2>log &
    pid=$!
    until [ -s pid ]; do sleep 0.1; done
    before=$(workers 2)
    kill -TTIN $pid
    more=$(workers 3)
    kill -TTIN "$(cat pid)"
    seen+=("$before $more $(workers 4)")
    echo "gunicorn behind '${init##*/}': workers at first, after TTIN, after a TTIN to gunicorn itself: ${seen[-1]}"
    kill -TERM $pid
    wait $pid || true
done
[ "${seen[*]}" = "2 3 4 2 2 3" ] || { echo "tini passes it on now"; exit 1; }
