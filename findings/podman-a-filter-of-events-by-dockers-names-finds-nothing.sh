#!/usr/bin/env bash
# Podman's Docker API: events that are asked for by the word "die", or by a label's name, never come, though the stream has them.
#
# One would assume that a filter goes by what the same stream says: without one, the death of a container comes as "die", as on
# Docker, with all its labels, and the listing of containers takes a label by its name alone.
# {"event":["die"]} matches nothing, as the filter compares Podman's own word, "died"; {"label":["NAME"]} matches nothing either,
# only NAME=VALUE does. The status is 200 and the stream stays open: it looks like a quiet engine.
# An autoscaler that follows its own containers by such a filter, as it can on Docker, learns of no death, and replaces what has
# died at its next listing, if it has one. Ask for type=container alone, and choose among what comes.
# Seen with Podman 4.3.1 (Debian 12; Docker API 1.41). Needs Podman and curl, and Go for a program to run.
set -euo pipefail

dir=$(mktemp -d)
pids=()
trap '{ kill "${pids[@]}"; wait; } 2>/dev/null || true; "${podman[@]}" rm --all --force >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
podman=(podman --root "$dir/root" --runroot "$dir/run" --tmpdir "$dir/tmp" --storage-driver vfs --cgroup-manager cgroupfs
    --events-backend file)
if command -v runc >/dev/null; then podman+=(--runtime runc); fi
mkdir "$dir/image"
printf 'package main\n\nfunc main() {}\n' >"$dir/main.go"
CGO_ENABLED=0 GOFLAGS= go build -o "$dir/image/worker" "$dir/main.go"
tar -C "$dir/image" -c . | "${podman[@]}" import - localhost/worker:1 >/dev/null 2>&1
"${podman[@]}" system service --time 0 "unix://$dir/socket" 2>"$dir/log" &
pids+=($!)
until curl -sf --unix-socket "$dir/socket" http://engine/_ping >/dev/null; do
    kill -0 "${pids[0]}" || { cat "$dir/log"; exit 1; }
    sleep 0.1
done
"${podman[@]}" --version
asked=('"type":["container"]' '"event":["die"]' '"event":["died"]' '"label":["job"]' '"label":["job=mail"]')
ask() { curl -sNG --unix-socket "$dir/socket" "http://engine/v1.41/$1" --data-urlencode "filters={$2}" "${@:3}"; }
for i in "${!asked[@]}"; do
    ask events "${asked[i]}" >"$dir/events$i" &
    pids+=($!)
done
sleep 3
"${podman[@]}" run --network none --ulimit nofile=1024 --ulimit nproc=1024 --label job=mail localhost/worker:1 /worker
for i in 0 2 4; do until grep -q '"die"' "$dir/events$i"; do sleep 0.2; done; done
sleep 3
seen=()
for i in "${!asked[@]}"; do
    seen+=("$(grep -o '"Action":"[a-z]*"' "$dir/events$i" | cut -d'"' -f4 | sort -u | xargs || true)")
    printf '%-22s %s\n' "${asked[i]}" "${seen[-1]:-nothing}"
done
listed=$(ask containers/json '"label":["job"]' -d all=1 | grep -o '"Id"' | wc -l)
echo "containers that are listed by the name of the label: $listed"
[ "${seen[1]}/${seen[2]}/${seen[3]}/$listed" = "/die//1" ] || { echo "it matches otherwise now"; exit 1; }
