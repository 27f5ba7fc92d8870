#!/usr/bin/env bash
# uvicorn --workers: until the worker that TTOU takes away has ended its last request, SIGTERM is not seen, and no dead worker replaced.
#
# One would assume that TTOU, "one worker less", lets that worker finish its requests in its own time, as gunicorn does, while the main
# process looks after the others and its signals.
# It waits for that worker, and there is no limit for it unless --timeout-graceful-shutdown is given: a websocket or a stream may last for
# hours. A second TTOU or TTIN waits behind it. A worker that dies meanwhile (memory) stays dead: with two of them nobody serves,
# new connections are taken by the kernel and get no answer. And SIGTERM is not passed on: the workers that are left go on to take
# requests for the whole grace of the container, and are killed with all they have.
# Who scales workers inside a container by load does it in the evening, and learns of this at the next stop. Give it
# --timeout-graceful-shutdown, below the grace of the container, or scale containers. HUP, which replaces all workers, waits the same way.
# Seen with uvicorn 0.54.0 (supervisors/multiprocess.py: handle_ttou). Needs curl.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || { kill -KILL -- "-$pid"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0
cd "$dir"
cat >app.py <<'PY'
import asyncio


async def app(scope, receive, send):
    if scope["type"] == "http":
        await asyncio.sleep(float(scope["path"][1:]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
PY
venv/bin/uvicorn --version
setsid venv/bin/uvicorn --workers 2 --uds socket app:app >log 2>&1 &
pid=$!
until [ "$(grep -c 'startup complete' log)" = 2 ]; do sleep 0.1; done
for _ in $(seq 60); do curl -s --unix-socket socket http://app/20 >/dev/null & done # so many that each worker has some
sleep 2
begin=$(date +%s)
kill -TTOU "$pid"
until grep -q "Waiting for child process" log; do sleep 0.1; done
ending=$(sed -n 's/.*Terminated child process \[\([0-9]*\)\].*/\1/p' log)
kill -KILL "$(pgrep -P "$pid" -f spawn_main | grep -vx "$ending")"
sleep 3
answer=$(curl -s --unix-socket socket -o /dev/null -w '%{http_code}' --max-time 3 http://app/0 || true)
kill -TERM "$pid"
sleep 3
term=$(grep -c "Received SIGTERM" log || true)
echo "TTOU to 2 workers with requests of 20 s, and the one that stays is killed: a new request gets $answer"
echo "3 s after SIGTERM: it was seen $term times"
[ "$answer, $term" = "000, 0" ] || { echo "it looks after the others now"; exit 1; }
wait "$pid" || true
took=$(($(date +%s) - begin))
echo "it ended $took s after TTOU, when the worker of TTOU had ended"
[ "$took" -ge 15 ] || exit 1
