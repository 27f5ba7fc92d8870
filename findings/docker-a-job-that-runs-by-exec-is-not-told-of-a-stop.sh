#!/usr/bin/env bash
# Docker: a job that was started with `docker exec` is not told of a stop, and has no grace: it is killed as soon as the main process ends.
#
# One would assume that `docker stop -t 600` gives all that runs in the container its SIGTERM and up to ten minutes, and that exec's
# process, which handles the signal, ends its job as the main process does.
# SIGTERM goes to the main process alone. When that has ended, at once as it has nothing to do, the kernel kills everything else in the
# container: exec's job is cut off without having heard of it, and the stop is through after a moment; `docker exec` says 137.
# Schedulers that run their jobs by exec in a service's container (Ofelia's job-exec, a crontab on the host) lose one at each scale-down
# that meets it, whatever the grace; and the container looks idle to whoever asks its main process. `docker top` shows it, and inspect's
# ExecIDs. Wait until ExecIDs is empty, or let the main process wait for the others.
# Seen with Docker 20.10.24 (daemon/stop.go, daemon/kill.go). Needs a Docker engine and a static busybox.
set -euo pipefail

dir=$(mktemp -d)
image=finding-exec-stop:1
id=
trap '{ docker rm -f $id; docker rmi "$image"; } >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
docker version --format 'Docker {{.Server.Version}}'
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/busybox"
for name in sh sleep seq; do ln -s busybox "$dir/bin/$name"; done
tar -C "$dir" -c bin | docker import --change 'ENV PATH=/bin' - "$image" >/dev/null
main='trap "exit 0" TERM; while :; do sleep 0.1; done'
job='trap "echo told" TERM; echo begun; for _ in $(seq 80); do sleep 0.1; done; echo done' # 8 s
id=$(docker run -d --network none "$image" sh -c "$main")
touch "$dir/journal"
docker exec "$id" sh -c "$job" >>"$dir/journal" 2>&1 & job=$!
until grep -q begun "$dir/journal"; do sleep 0.1; done
listed=$(docker inspect -f '{{len .ExecIDs}}' "$id")
began=$SECONDS
docker stop -t 60 "$id" >/dev/null
took=$((SECONDS - began))
wait $job && code=0 || code=$?
main=$(docker inspect -f '{{.State.ExitCode}}' "$id")
echo "ExecIDs before: $listed; the stop with a grace of 60 s took $took s; the job: $(paste -sd , "$dir/journal"), $code; the main process: $main"
[ "$(paste -sd , "$dir/journal") $code $main" = "begun 137 0" ] || { echo "it is told now"; exit 1; }
