#!/usr/bin/env bash
# Docker: a signal that a program handles, sent with `docker kill`, takes its container's restart policy away.
#
# One would assume that `docker kill --signal USR1` only delivers the signal, as its page has it ("non-terminating signals
# such as SIGHUP"), and that a container with --restart always comes back whenever it crashes later.
# The engine takes any signal for the begin of a stop: the next exit, hours later and with code 3, is final. Nothing shows it
# before, neither inspect nor a log. Only with --stop-signal, the policy is lost by that signal alone.
# An autoscaler that asks a worker of somebody's service to take no new job (TSTP, USR1), and then lets it work on, has to
# start it again by itself after a crash; or the service gets a stop signal. Seen with Docker 20.10.24; moby#11065, #41302.
set -euo pipefail

dir=$(mktemp -d)
image=finding-kill-signal:1
made=()
trap 'docker rm -f "${made[@]}" >/dev/null 2>&1 || true; docker rmi "$image" >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
docker version --format 'Docker {{.Server.Version}}'
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/busybox"
ln -s busybox "$dir/bin/sh"
tar -C "$dir" -c bin | docker import --change 'ENV PATH=/bin' - "$image" >/dev/null

# Handles USR1, and crashes once it is told to: `docker exec` sends no signal of the engine's.
program='trap "busybox touch /heard" USR1; busybox rm -f /crash; while [ ! -e /crash ]; do busybox sleep 0.1; done; exit 3'
run() { docker run -d --restart always --network none "$@" "$image" sh -c "$program"; }
crash() { docker exec "$1" busybox touch /crash; }
until_state() { # ID STATE: waits 30 s at most
    for _ in $(seq 300); do
        [ "$(docker inspect -f '{{.State.Status}} {{.RestartCount}}' "$1")" = "$2" ] && return
        sleep 0.1
    done
    docker inspect -f "expected $2, found {{.State.Status}} {{.RestartCount}}" "$1"
    return 1
}

made+=("$(run)" "$(run)" "$(run --stop-signal TERM)")
sleep 2
for id in "${made[@]:1}"; do
    docker kill --signal USR1 "$id" >/dev/null
    for _ in $(seq 100); do docker exec "$id" busybox test -e /heard && break || sleep 0.1; done
done
for id in "${made[@]}"; do crash "$id"; done
until_state "${made[0]}" 'running 1'
echo "without a signal: started again after the crash"
until_state "${made[1]}" 'exited 0'
sleep 3
until_state "${made[1]}" 'exited 0'
echo "after USR1, which it has handled: stays down after the same crash"
until_state "${made[2]}" 'running 1'
echo "after USR1, with --stop-signal TERM: started again"
