#!/usr/bin/env bash
# Podman's Docker API: a container without a health check has a State.Health all the same, with an empty status.
#
# One would assume that State.Health of GET /containers/NAME/json is there only with a health check, as on Docker, where programs
# take its absence for "no check: running is enough" and wait for "healthy" where it is there.
# Podman sends {"Status":"","FailingStreak":0,"Log":null} for every container without one, so such a program waits for ever for
# what runs and serves. And one with a check that was turned off (NONE) looks the same, so this is no sign of a check either.
# An autoscaler that lets a container count, or gets its name or its traffic, once it is healthy never uses these, starts more, or
# holds a rolling update. Take an empty status for no check.
# Seen with Podman 4.3.1 (Debian 12; Docker API 1.41); https://github.com/containers/podman/issues/20029 has it of 4.6.2, and it is
# closed for 5.0. Needs Podman, curl and Go.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '"${podman[@]}" rm --all --force --time 0 >/dev/null 2>&1 || true; { kill $pid; wait; } 2>/dev/null || true
    rm -rf "$dir" 2>/dev/null || { sleep 3; rm -rf "$dir"; }' EXIT
podman=(podman --root "$dir/root" --runroot "$dir/run" --tmpdir "$dir/tmp" --storage-driver vfs --cgroup-manager cgroupfs
    --events-backend file)
if command -v runc >/dev/null; then podman+=(--runtime runc); fi
mkdir "$dir/image"
cat >"$dir/main.go" <<'END'
package main

import (
	"os"
	"time"
)

func main() {
	if len(os.Args) == 1 {
		time.Sleep(time.Hour)
	}
}
END
CGO_ENABLED=0 GOFLAGS= go build -o "$dir/image/web" "$dir/main.go"
tar -C "$dir/image" -c . | "${podman[@]}" import - localhost/web:1 >/dev/null 2>&1
"${podman[@]}" system service --time 0 "unix://$dir/socket" 2>"$dir/log" &
pid=$!
until curl -sf --unix-socket "$dir/socket" http://engine/_ping >/dev/null; do
    kill -0 "$pid" || { cat "$dir/log"; exit 1; }
    sleep 0.1
done
"${podman[@]}" --version
begin() { "${podman[@]}" run --detach --network none --ulimit nofile=1024 --ulimit nproc=1024 "$@" localhost/web:1 /web >/dev/null 2>"$dir/log"; }
begin --name without
begin --name off --no-healthcheck
begin --name with --health-cmd '["/web","check"]' --health-interval disable
"${podman[@]}" healthcheck run with >/dev/null
said=()
for name in without off with; do
    state=$(curl -sf --unix-socket "$dir/socket" "http://engine/v1.41/containers/$name/json")
    said+=("$(grep -o '"Running":[a-z]*' <<<"$state" | head -n 1), $(grep -o '"Health":{"Status":"[a-z]*"' <<<"$state" || echo 'no "Health"')")
    printf '%-8s %s\n' "$name" "${said[-1]}"
done
[ "${said[0]}" = '"Running":true, "Health":{"Status":""' ] || { echo "there is none without a check now"; exit 1; }
[ "${said[2]}" = '"Running":true, "Health":{"Status":"healthy"' ] || { echo "a check that has passed is told otherwise"; exit 1; }
