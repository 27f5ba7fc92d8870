#!/usr/bin/env bash
# Docker: a container that has crashed and waits for its next restart is "Running": true, and `docker ps` counts it.
#
# One would assume that State.Running of inspect, which scripts and health checks ask for (`docker inspect -f '{{.State.Running}}'`),
# is false where no process is, and that a plain `docker ps -q`, which "shows just running", leaves such a container out.
# Between two tries of a restart policy, up to a minute each, Running is true, with Pid 0, and ps lists it. With the filter
# status=running ps leaves it out, as its status is "restarting", and ContainersRunning of `docker info` does not count it.
# As the pauses double and a start takes moments, a crash loop is "running" by the one and not by the other nearly all the time.
# An autoscaler that counts copies by Running, or by the lines of ps, takes a crash loop for its full capacity, and starts no
# other copy in its place. Ask for Status.
# Seen with Docker 20.10.24 (container/state.go, SetRestarting). Needs a Docker engine and a static busybox.
set -euo pipefail

dir=$(mktemp -d)
image=finding-restarting:1
id=
trap 'docker rm -f $id >/dev/null 2>&1 || true; docker rmi "$image" >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
docker version --format 'Docker {{.Server.Version}}'
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/busybox"
tar -C "$dir" -c bin | docker import --change 'ENV PATH=/bin' - "$image" >/dev/null
id=$(docker run -d --network none --restart always "$image" busybox false)
listed() { docker ps -q --filter "id=$id" "$@" | wc -l; }
look() {
    docker inspect -f 'running {{.State.Running}}, pid {{.State.Pid}}, status {{.State.Status}}' "$id" | tr '\n' ','
    echo " in ps $(listed), with status=running $(listed --filter status=running)"
}
running=0
looks=0
until [ "$(docker inspect -f '{{.RestartCount}}' "$id")" -ge 6 ]; do sleep 0.2; done
for _ in $(seq 40); do
    seen=$(look)
    looks=$((looks + 1))
    case $seen in "running true, pid 0,"*" in ps 1, with status=running 0") running=$((running + 1)) told=$seen ;; esac
    sleep 0.1
done
echo "a command that ends with 1 at once, after $(docker inspect -f '{{.RestartCount}}' "$id") restarts:"
echo "${told:-$seen} ($running of $looks looks)"
[ $running -gt $((looks / 2)) ] || { echo "it is not running now"; exit 1; }
