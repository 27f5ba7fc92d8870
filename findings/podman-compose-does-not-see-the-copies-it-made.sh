#!/usr/bin/env bash
# podman-compose: it never takes a copy away, and `down` leaves the copies of `up --scale` running; both exit 0.
#
# One would assume that `up --scale web=1` after `up --scale web=3` ends two copies, as docker compose does, and that `down`
# ends all containers that bear the project's label.
# Both go by the names that the file and the options of this one call give: with web=1 that is shop_web_1, and so it is with
# `down`, which knows no --scale. The copies 2 and 3 run on, and the exit code says that all is well.
# Who scales a service this way can only ever scale it up; and after a `down` there are workers of the project that take
# jobs, which the next `up` does not mention either. Count by the label io.podman.compose.project, or use
# `down --remove-orphans`, which looks by it (it ends all of a project, so it is no way to scale down).
# Seen with podman-compose 1.6.0 (compose_down), Podman 4.3.1. Needs Podman, and Go for a program to run.
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

import "time"

func main() { time.Sleep(time.Hour) }
GO
CGO_ENABLED=0 GOFLAGS= go build -o "$dir/image/worker" "$dir/main.go"
tar -C "$dir/image" -c . | "$dir/podman" import - localhost/worker:1 >/dev/null 2>&1
cat >"$dir/compose.yaml" <<'YAML'
services:
  web:
    image: localhost/worker:1
    command: [/worker]
    network_mode: none
    ulimits: {nofile: 1024, nproc: 1024}
YAML
compose() {
    "$dir/venv/bin/podman-compose" --podman-path "$dir/podman" -f "$dir/compose.yaml" -p shop "$@" >>"$dir/log" 2>&1 ||
        { cat "$dir/log"; exit 1; }
}
running() { "$dir/podman" ps --filter label=io.podman.compose.project=shop --format '{{.Names}}' | sort | paste -sd ' '; }
compose up -d --scale web=3
three=$(running)
compose up -d --scale web=1
one=$(running)
compose down
left=$(running)
compose down --remove-orphans
none=$(running)
"$dir/venv/bin/python" -c 'import importlib.metadata as m; print("podman-compose", m.version("podman-compose"))'
"$dir/podman" --version
printf '%s\n' "up --scale web=3: $three" "then up --scale web=1: $one" "then down: $left" "then down --remove-orphans: $none"
[ "$one/$left/$none" = "shop_web_1 shop_web_2 shop_web_3/shop_web_2 shop_web_3/" ] || { echo "it does otherwise now"; exit 1; }
