#!/usr/bin/env bash
# gunicorn: a reload (HUP) goes back to the number of workers in the configuration; what TTIN and TTOU did is lost, without a word.
#
# One would assume that the number that the signals made, or `gunicornc -c "worker add 3"` by its control socket, is the number of
# workers until it is changed again, and that a reload replaces each of them.
# HUP reads the configuration anew, and starts as many as it names: of 2 + 2 workers 2 are left.
# That the number has changed is not in the log; only `gunicornc -c "show stats"` tells the new one as its target.
# Who scales workers inside a container by load loses what was added with each reload of the code, at the highest load too; and a
# program that counts its own signals is wrong from then on. Read the number each time, or have the configuration file read it from
# where it is kept. (Its issue 716 is closed.) Seen with gunicorn 27.0.1 (arbiter.py: reload). Needs pgrep.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || { kill "$pid"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check gunicorn==27.0.1
cd "$dir"
printf 'def app(environ, start_response):\n    start_response("200 OK", [])\n    return [b"done"]\n' >app.py
workers() { pgrep -P "$pid" | sort; }
settle() { # NUMBER: waits for it, and for no change in a while
    for _ in $(seq 100); do [ "$(workers | wc -l)" != "$1" ] || break; sleep 0.2; done
    sleep 2
    seen+=("$(workers | wc -l)")
}
seen=()
venv/bin/gunicorn --version
venv/bin/gunicorn --workers 2 --bind unix:socket --control-socket "$dir/control" app:app >log 2>&1 &
pid=$!
settle 2
kill -TTIN "$pid"
sleep 1
kill -TTIN "$pid"
settle 4
kill -HUP "$pid"
settle 2
venv/bin/gunicornc -s "$dir/control" -c "worker add 3" >/dev/null
settle 5
kill -HUP "$pid"
settle 2
echo "workers at the start, after TTIN twice, after HUP, after worker add 3, after HUP: ${seen[*]}"
[ "${seen[*]}" = "2 4 2 5 2" ] || { echo "it keeps them now"; exit 1; }
