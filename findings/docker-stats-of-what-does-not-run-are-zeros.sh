#!/usr/bin/env bash
# Docker: asked for the use of a container that has ended, the engine answers 200 and zeros: no load, no memory, and no error.
#
# One would assume that /containers/NAME/stats of a container that is not running is an error, as exec, top and pause are (409), or
# an empty answer; there is nothing to measure.
# It is a full answer with the status 200, at once (one that runs takes a second): total_usage 0, no memory_stats, the time 0001-01-01.
# So it is for one that was only created, and for the moments between the crashes of one that starts anew again and again.
# An autoscaler that takes the mean of the processor over its containers counts the dead as idle ones: with two of four crashed
# it reads half of the load that the others have, and takes capacity away from them. Whoever calculates 100 % of the memory's limit
# divides by nothing. Look at `read`, or at the state first, and take it for "no measurement".
# Seen with Docker 20.10.24 (daemon/stats.go, ContainerStats). Needs a Docker engine, curl and a static busybox.
set -euo pipefail

dir=$(mktemp -d)
image=finding-stats:1
made=()
trap 'docker rm -f "${made[@]}" >/dev/null 2>&1 || true; docker rmi "$image" >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
docker version --format 'Docker {{.Server.Version}}'
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/busybox"
tar -C "$dir" -c bin | docker import --change 'ENV PATH=/bin' - "$image" >/dev/null
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
ask() { # WAY ID: the status, and the answer in a file
    curl -s -o "$dir/answer" -w '%{http_code}' --unix-socket "${socket#unix://}" "http://engine/v1.41/containers/$2/$1"
}
made+=("$(docker run -d --network none "$image" busybox sh -c 'while :; do :; done')")
made+=("$(docker run -d --network none "$image" busybox sh -c 'exit 3')")
made+=("$(docker create --network none "$image" busybox true)")
docker wait "${made[1]}" >/dev/null
seen=()
for id in "${made[@]}"; do
    stats=$(ask 'stats?stream=false' "$id")
    use=$(python3 - "$dir/answer" <<'PY'
import json, sys
told = json.load(open(sys.argv[1]))
cpu, memory = told["cpu_stats"]["cpu_usage"]["total_usage"], told["memory_stats"].get("usage", "none")
print("used" if cpu else cpu, "used" if memory != "none" else memory, "" if told["read"] > "0002" else told["read"])
PY
    )
    seen+=("$stats $use, top: $(ask top "$id")")
    docker inspect -f '{{.State.Status}}:' "$id" | tr '\n' ' '
    echo "status, processor, memory and time of its stats: ${seen[-1]}"
done
zeros="200 0 none 0001-01-01T00:00:00Z, top: 409"
[ "${seen[0]}" = "200 used used , top: 200" ] && [ "${seen[1]}/${seen[2]}" = "$zeros/$zeros" ] || { echo "it is an error now"; exit 1; }
