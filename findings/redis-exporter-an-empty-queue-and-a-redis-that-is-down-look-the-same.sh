#!/usr/bin/env bash
# redis_exporter: a queue that is found by --check-keys has no redis_key_size once it is empty, which is just what a Redis that is down has.
#
# One would assume that the size of a list that was 2 a moment ago is 0 when its last job is taken, as the exporter knows its name, and
# as it is with --check-single-keys, whose list is 0 even before its first job.
# An empty list is no key in Redis, and --check-keys is a search among the keys: the series ends. If Redis is away, all of them end
# too, those of --check-single-keys as well; the page is 200 both times, and only redis_up differs.
# An autoscaler that takes "no series" for an error keeps all workers of a queue that is done, and never comes to zero; one that takes
# it for 0 (`missing: empty`, or `or vector(0)` in PromQL) ends the workers of a thousand waiting jobs when Redis restarts or is slow.
# Name the queues with --check-single-keys db0=mail and let a missing series be an error; or, in PromQL,
# `sum(redis_key_size{key="mail"}) or sum(redis_up == 1) * 0`. Its issue 472 has half of it, and 1008 that in 1.72 the first of the
# single keys that is empty hides all behind it. Seen with redis_exporter 1.45.0 (Debian 12; exporter/keys.go), Redis 7.0.15.
# Needs redis-server, curl, and prometheus-redis-exporter, which is fetched by apt-get if it is not installed.
set -euo pipefail

dir=$(mktemp -d)
redis= exporter=
trap '{ kill $redis $exporter; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
command -v redis-server >/dev/null || { echo "needs redis-server"; exit 77; }
if ! program=$(command -v prometheus-redis-exporter); then
    chmod 777 .
    apt-get download -q prometheus-redis-exporter >log 2>&1 && dpkg -x prometheus-redis-exporter_*.deb . || { tail log; exit 77; }
    program=usr/bin/prometheus-redis-exporter
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
redis-server --port 0 --unixsocket "$dir/redis" --save "" >/dev/null & redis=$!
until [ "$(redis-cli -s redis ping 2>/dev/null)" = PONG ]; do sleep 0.1; done
"$program" -redis.addr "unix://$dir/redis" -web.listen-address "127.0.0.1:$port" \
    -check-keys 'db0=jobs:*' -check-single-keys db0=mail 2>log & exporter=$!
until curl -sf "http://127.0.0.1:$port/health" >health; do kill -0 $exporter; sleep 0.1; done
seen=()
look() {
    curl -sS -o page -w '%{http_code}' "http://127.0.0.1:$port/metrics" >status
    seen+=("$(sed -n 's/^redis_key_size{db="db0",key="\([a-z:]*\)"}/\1/p' page | sort | paste -sd, -)")
    echo "$1: $(cat status), redis_up $(sed -n 's/^redis_up //p' page), redis_key_size: ${seen[-1]:-none}"
}
"$program" -version 2>&1 | grep -o 'Metrics Exporter [^ ]*' || true
redis-server --version | cut -d' ' -f1-3
redis-cli -s redis lpush jobs:pictures 1 2 >/dev/null
redis-cli -s redis lpush mail 1 2 >/dev/null
look "two jobs in each "
redis-cli -s redis lpop jobs:pictures 2 >/dev/null
redis-cli -s redis lpop mail 2 >/dev/null
look "all jobs are done"
kill $redis && wait $redis
look "Redis is down    "
[ "${seen[0]} / ${seen[1]} / ${seen[2]}" = "jobs:pictures 2,mail 2 / mail 0 / " ] || { echo "it does otherwise now"; exit 1; }
