#!/usr/bin/env bash
# podman-compose: a stop_grace_period of "1h" is ten seconds, and to all but podman-compose every other one is, too.
#
# One would assume that `stop_grace_period: 1h`, valid by the Compose specification and as docker compose reads it, gives a worker an
# hour to end its job, or is refused; and that the container carries it, as Docker's do (StopTimeout), whoever stops it.
# Its parser knows minutes and seconds only. "1h", "1h30m", "500ms" or "1.5m" are no time to it, it says nothing, and passes none on:
# Podman's default of 10 s counts. "2m" it knows, but gives it only to its own `podman stop`: the container is made without
# --stop-timeout, so that `podman stop`, the API, and whatever else scales or updates it, kill after 10 s as well.
# A worker with a job of half an hour is killed in it at each scale-down, though its file has the right grace. Write seconds ("3600s"),
# and when it is another program that stops the containers, give it the time itself (`podman stop -t`, or ?t= in the API).
# Seen with podman-compose 1.6.0 (str_to_seconds, container_to_args), Podman 4.3.1. Needs Podman, and Go for a program to run.
set -euo pipefail

dir=$(mktemp -d)
trap '"$dir/podman" rm --all --force --time 0 >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check podman-compose==1.6.0
cat >"$dir/podman" <<SH
#!/bin/sh
exec $(command -v podman) --root "$dir/root" --runroot "$dir/run" --tmpdir "$dir/tmp" --storage-driver vfs \\
    --cgroup-manager cgroupfs --events-backend file $(command -v runc >/dev/null && echo --runtime runc) "\$@"
SH
chmod +x "$dir/podman"
mkdir "$dir/image"
cat >"$dir/main.go" <<'GO'
package main

import ("os"; "os/signal"; "syscall"; "time")

func main() { // has a job that takes 15 s more when it is told to end
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	<-told
	time.Sleep(15 * time.Second)
}
GO
CGO_ENABLED=0 GOFLAGS= go build -o "$dir/image/worker" "$dir/main.go"
tar -C "$dir/image" -c . | "$dir/podman" import - localhost/worker:1 >/dev/null 2>&1
compose() {
    "$dir/venv/bin/podman-compose" --podman-path "$dir/podman" -f "$dir/compose.yaml" -p shop "$@" >>"$dir/log" 2>&1 ||
        { cat "$dir/log"; exit 1; }
}
"$dir/venv/bin/python" -c 'import importlib.metadata as m; print("podman-compose", m.version("podman-compose"))'
"$dir/podman" --version
seen=()
for case in 1h/compose 2m/compose 2m/podman; do
    printf 'services:\n  web:\n    image: localhost/worker:1\n    command: [/worker]\n    network_mode: none\n' >"$dir/compose.yaml"
    printf '    ulimits: {nofile: 1024, nproc: 1024}\n    stop_grace_period: %s\n' "${case%/*}" >>"$dir/compose.yaml"
    compose up -d
    sleep 1
    if [ "${case#*/}" = compose ]; then compose stop; else "$dir/podman" stop shop_web_1 >/dev/null 2>&1; fi
    seen+=("$("$dir/podman" inspect -f '{{.Config.StopTimeout}} {{.State.ExitCode}}' shop_web_1)")
    echo "stop_grace_period: ${case%/*}, stopped by ${case#*/}: StopTimeout and exit code are ${seen[-1]} (137: killed)"
    compose down
done
[ "${seen[*]}" = "10 137 10 0 10 137" ] || { echo "it has its grace now"; exit 1; }
