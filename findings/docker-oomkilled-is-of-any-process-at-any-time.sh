#!/usr/bin/env bash
# Docker: a container that ends in good order is "OOMKilled": true if any of its processes was ever killed for memory.
#
# One would assume that OOMKilled of a container that has ended says why it ended, as with exit code 137, and that in one that runs it
# shows that a process was lost to the limit of memory.
# It is the other way round: while it runs it is false, whatever is killed in it (there is an event "oom"), and at its end it is true,
# with exit code 0, though the process that was killed was a child, hours ago, which the main process had replaced.
# Workers with children (Celery, Gunicorn, RQ: one job that was too large) go on after that, as they should. An autoscaler that
# takes the end of such a container, which it has stopped itself, for a crash for lack of memory backs off, gives the next ones more
# memory, or warns; and one that looks at the running ones sees nothing. Take it together with exit code 137.
# Seen with Docker 20.10.24 (libcontainerd/remote/client.go). Needs a Docker engine that can limit memory, and a static busybox.
set -euo pipefail

dir=$(mktemp -d)
image=finding-oom:1
id=
trap 'docker rm -f $id >/dev/null 2>&1 || true; docker rmi "$image" >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
docker version --format 'Docker {{.Server.Version}}'
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/busybox"
tar -C "$dir" -c bin | docker import --change 'ENV PATH=/bin' - "$image" >/dev/null
worker='busybox dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null; echo "a child ended with code $?"
trap "exit 0" TERM; busybox sleep 60 & wait'
id=$(docker run -d --network none --memory 32m --memory-swap 32m "$image" busybox sh -c "$worker")
until docker logs "$id" 2>/dev/null | grep code; do sleep 0.2; done
sleep 2
look() { docker inspect -f '{{.State.Status}}, exit code {{.State.ExitCode}}, OOMKilled {{.State.OOMKilled}}' "$id"; }
before=$(look)
docker stop --time 20 "$id" >/dev/null
after=$(look)
echo "the container then: $before; after docker stop: $after"
[ "$before / $after" = "running, exit code 0, OOMKilled false / exited, exit code 0, OOMKilled true" ] ||
    { echo "it says something else now"; exit 1; }
