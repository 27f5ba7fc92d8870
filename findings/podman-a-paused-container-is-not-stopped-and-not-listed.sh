#!/usr/bin/env bash
# Podman's Docker API: a paused container cannot be stopped (500, and it stays), and the plain listing leaves it out.
#
# One would assume that POST /containers/NAME/stop ends it, as on Docker, which sends the stop signal, lets it go on to end, and
# kills it after the grace; and that GET /containers/json, of what runs, has it, as on Docker with "Up 5 seconds (Paused)".
# Podman answers 500 "is running or paused, refusing to clean up", and nothing has changed. Listed it is only with all=1.
# An autoscaler that counts what is listed starts another one in its place, beyond its limit once it is unpaused; one that is to
# give up a place, or to end, fails for as long as it is paused. Ask with all=1; unpause before the stop, or remove it by force.
# Seen with Podman 4.3.1 (Debian 12; Docker API 1.41); https://github.com/Glyndor/podup/issues/868 has the stop of 5.4.2, and
# https://github.com/moby/moby/issues/15853 why Docker lets it go on. Needs Podman, curl and Go.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '"${podman[@]}" rm --all --force --time 0 >/dev/null 2>&1 || true; { kill $pid; wait; } 2>/dev/null || true
    rm -rf "$dir" 2>/dev/null || { sleep 3; rm -rf "$dir"; }' EXIT
podman=(podman --root "$dir/root" --runroot "$dir/run" --tmpdir "$dir/tmp" --storage-driver vfs --cgroup-manager cgroupfs
    --events-backend file)
if command -v runc >/dev/null; then podman+=(--runtime runc); fi
mkdir "$dir/image"
printf 'package main\n\nimport "time"\n\nfunc main() { time.Sleep(time.Hour) }\n' >"$dir/main.go"
CGO_ENABLED=0 GOFLAGS= go build -o "$dir/image/worker" "$dir/main.go"
tar -C "$dir/image" -c . | "${podman[@]}" import - localhost/worker:1 >/dev/null 2>&1
"${podman[@]}" system service --time 0 "unix://$dir/socket" 2>"$dir/log" &
pid=$!
until curl -sf --unix-socket "$dir/socket" http://engine/_ping >/dev/null; do
    kill -0 "$pid" || { cat "$dir/log"; exit 1; }
    sleep 0.1
done
"${podman[@]}" --version
for name in busy idle; do
    "${podman[@]}" run --detach --network none --ulimit nofile=1024 --ulimit nproc=1024 --name "$name" localhost/worker:1 /worker >/dev/null
done
ask() { curl -s --unix-socket "$dir/socket" -o "$dir/answer" -w '%{http_code}' "$@"; }
names() { ask "http://engine/v1.41/containers/json$1" >/dev/null && grep -o '"Names":\["/[a-z]*"' "$dir/answer" | cut -d/ -f2 | tr -d '"' | sort | xargs; }
paused=$(ask -X POST http://engine/v1.41/containers/idle/pause)
listed=$(names "")
every=$(names "?all=1")
stopped=$(ask -X POST "http://engine/v1.41/containers/idle/stop?t=1")
why=$(grep -o 'is running or paused[a-z, ]*' "$dir/answer" || cat "$dir/answer")
state=$("${podman[@]}" inspect --format '{{.State.Status}}' idle)
removed=$(ask -X DELETE "http://engine/v1.41/containers/idle?force=true")
echo "of busy, and idle, which is paused ($paused), are listed: $listed; with all=1: $every"
echo "stop of idle: $stopped ($why), it is $state; removal by force: $removed"
[ "$listed/$every/$stopped/$state/$removed" = "busy/busy idle/500/paused/204" ] || { echo "it does otherwise now"; exit 1; }
