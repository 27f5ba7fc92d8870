#!/usr/bin/env bash
# Docker: `docker wait` ends at a restart too, with an exit code, while the container runs on.
#
# One would assume that the command, which "blocks until containers stop", and the API behind it, whose condition is called
# "not-running", end when the container has ended for good: with a restart policy it is never anything but "Running", by inspect.
# It ends at the first exit of the process. After `docker restart` by somebody else, or a crash of a container with --restart, it says
# 137, 3 or 0 as for any other end, and a moment later the container runs again, under the same id.
# An autoscaler that tells a worker to end after its job, and waits for that by `docker wait`, takes a restart meanwhile for the end: it
# gives the place to another one, and both run. Nor is the container one that can be removed. Look at the state after it, and
# wait again if it runs; or wait for condition=removed where the engine removes it (--rm).
# Seen with Docker 20.10.24 (container/state.go: SetRestarting, notifyAndClear). Needs a Docker engine and a static busybox.
set -euo pipefail

dir=$(mktemp -d)
image=finding-wait:1
made=()
trap '{ docker rm -f "${made[@]}"; docker rmi "$image"; } >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
docker version --format 'Docker {{.Server.Version}}'
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/busybox"
tar -C "$dir" -c bin | docker import --change 'ENV PATH=/bin' - "$image" >/dev/null
made+=("$(docker run -d --network none --restart always "$image" busybox sh -c 'busybox sleep 4; exit 3')")
made+=("$(docker run -d --network none "$image" busybox sh -c 'trap "exit 0" TERM; busybox sleep 600 & wait')")
for id in "${made[@]}"; do docker wait "$id" >"$dir/$id" & done
sleep 1
docker restart "${made[1]}" >/dev/null
for _ in $(seq 100); do [ ! -s "$dir/${made[0]}" ] || [ ! -s "$dir/${made[1]}" ] || break; sleep 0.2; done
seen=()
for id in "${made[@]}"; do
    for _ in $(seq 50); do [ "$(docker inspect -f '{{.State.Status}}' "$id")" != running ] || break; sleep 0.1; done
    seen+=("$(cat "$dir/$id") $(docker inspect -f '{{.State.Status}}' "$id")")
done
echo "wait said, and what the container does: one that crashed, with --restart always: ${seen[0]}; one after docker restart: ${seen[1]}"
[ "${seen[*]}" = "3 running 0 running" ] || { echo "it goes on to wait now"; exit 1; }
