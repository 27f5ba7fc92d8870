#!/usr/bin/env bash
# Hypercorn: when one of its workers is killed, it ends all the others, their requests too, without a word.
#
# One would assume that its main process starts a worker anew that was killed (by the kernel, for its memory), as gunicorn and uvicorn
# do, and that the others go on meanwhile.
# A worker that ends with another exit code than 0 ends the server: the others get SIGTERM, and what they are at work on is cut
# off, with no regard to graceful_timeout. There is no line in the log, and the exit code of the server is 0.
# Where one container has several workers, one that is too large takes the requests of all with it, the container ends as if it had
# been told to, `restart: on-failure` leaves it like that, and all its load falls on the others. One worker in each container,
# or gunicorn with its worker class. (granian ends as well, and has --respawn-failed-workers against it.)
# Seen with hypercorn 0.18.0 (run.py: run, _join_exited). Needs curl.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || { kill -KILL -- "-$pid"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check hypercorn==0.18.0
cd "$dir"
cat >app.py <<'PY'
import asyncio, os


async def app(scope, receive, send):
    if scope["type"] == "http":
        open("begun", "a").write(f"{os.getpid()}\n")
        await asyncio.sleep(float(scope["path"][1:]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
PY
setsid venv/bin/hypercorn --workers 3 --graceful-timeout 60 --bind unix:socket app:app >log 2>&1 &
pid=$!
until [ "$(grep -c 'Running on' log)" = 3 ]; do sleep 0.1; done
ask() { curl -s --unix-socket socket -o /dev/null -w '%{http_code}\n' http://app/15 >>answers || true; }
touch begun
while [ "$(sort -u begun | wc -l)" -lt 2 ]; do # until two workers have requests
    for _ in 1 2 3 4 5 6 7 8 9 10; do ask & done
    sleep 1
done
victim=$(head -1 begun)
others=$(grep -vcx "$victim" begun)
begin=$(date +%s)
kill -KILL "$victim"
code=0
wait "$pid" || code=$?
took=$(($(date +%s) - begin))
until [ "$(wc -l <answers)" = "$(wc -l <begun)" ]; do sleep 0.2; done
echo "hypercorn 0.18.0, one of 3 workers killed: it exits after $took s with $code; lines in its log since: $(tail -n +4 log | wc -l)"
echo "of $others requests of 15 s that other workers had begun, $(grep -c 200 answers || true) were answered"
[ "$others" -ge 1 ] && [ "$code" = 0 ] && [ "$took" -lt 12 ] && ! grep -q 200 answers || { echo "the others go on now"; exit 1; }
pid=
