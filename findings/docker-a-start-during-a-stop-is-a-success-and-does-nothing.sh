#!/usr/bin/env bash
# Docker: `docker start` of a container that is being stopped is a success and does nothing: a moment later the container has ended.
#
# One would assume that a start takes back the stop that is under way, or waits for its end and then starts the container, or is
# refused, as two commands that contradict each other; and that inspect has a word for "is being stopped", as it has "removing".
# Until the process has ended, the container is "running" to the engine: start answers 304, the command exits with 0, and after it the
# stop goes on. Neither inspect nor ps shows it all the while, only the event "kill" of the begin; with --restart always it is
# the same. docker-py, Compose ("is up-to-date") and Ansible take the 304 for a success, too.
# An autoscaler that goes down and, ten seconds later, up again starts the copies that it is still stopping, counts them as running, and has
# none of them when their last jobs are done; the longer the grace, the wider the window. Wait for the stop's end (the answer of
# /stop, event "die", or `docker wait`) before a start, or start another container.
# Seen with Docker 20.10.24 (daemon/start.go: ContainerStart; daemon/stop.go). Needs a Docker engine, curl and a static busybox.
set -euo pipefail

dir=$(mktemp -d)
image=finding-start-in-stop:1
ids=()
trap 'docker rm -f "${ids[@]}" >/dev/null 2>&1 || true; docker rmi "$image" >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
docker version --format 'Docker {{.Server.Version}}'
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/sh"
tar -C "$dir" -c bin | docker import - "$image" >/dev/null
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
state() { docker inspect -f '{{.State.Status}}' "$1"; }
for policy in no always; do
    id=$(docker run -d --network none --restart "$policy" --stop-timeout 60 "$image" \
        /bin/sh -c 'trap "sleep 4; exit 0" TERM; while :; do sleep 0.1; done') # its job takes four seconds more
    ids+=("$id")
    sleep 1
    docker stop "$id" >/dev/null &
    sleep 1
    before=$(state "$id")
    status=$(curl -sS --unix-socket "${socket#unix://}" -X POST -o /dev/null -w '%{http_code}' "http://docker/v1.41/containers/$id/start")
    code=0
    docker start "$id" >/dev/null || code=$?
    after=$(state "$id")
    wait %%
    sleep 2
    seen+=("$status $code $before $after $(state "$id")")
    echo "--restart $policy: during its stop it is $before; start: $status, exit code $code, then it is $after; later: $(state "$id")"
done
for one in "${seen[@]}"; do
    [ "$one" = "304 0 running running exited" ] || { echo "it does otherwise now"; exit 1; }
done
