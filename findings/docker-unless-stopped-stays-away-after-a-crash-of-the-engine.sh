#!/usr/bin/env bash
# Docker: after a crash of the engine containers with --restart unless-stopped stay away; those with always or on-failure come back.
#
# One would assume that unless-stopped differs from always only for what was stopped, and these were not: the engine alone was killed
# (kill -9, out of memory), and its containers ran on.
# At its next start the engine finds them alive and, without --live-restore, stops them itself, by the code of `docker stop`, which notes
# that the container "has been manually stopped". Then it asks the policies: for unless-stopped that note is final, also at later starts,
# and nothing in `docker inspect` shows it. An orderly end of the engine leaves no such note. (Docker's page says "manually or otherwise".)
# An autoscaler whose services are under unless-stopped finds them stopped, as if by a person, after one crash of the engine: it leaves
# them so and gives their share to others until they are started by hand. Use always, or --live-restore.
# Seen with Docker 20.10.24 (daemon/daemon.go: restore; daemon/kill.go). It starts an engine of its own in a network of its own: needs
# root, dockerd, ip, unshare and a static busybox.
set -euo pipefail

for tool in dockerd docker ip unshare busybox; do command -v "$tool" >/dev/null || { echo "needs $tool"; exit 77; }; done
dir=$(mktemp -d)
pid=
end() { [ -z "$pid" ] || { kill $pid; wait $pid; } 2>/dev/null || true; }
clean() {
    docker rm -f $(docker ps -aq) >/dev/null 2>&1 || true
    end
    awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l
    rm -rf "$dir"
}
export DOCKER_HOST="unix://$dir/docker.sock"
trap clean EXIT
echo '{}' >"$dir/config.json"
begin() {
    unshare --net sh -c 'ip link set lo up; exec "$@"' '' dockerd --config-file "$dir/config.json" --host "$DOCKER_HOST" \
        --data-root "$dir/data" --exec-root "$dir/run" --pidfile "$dir/pid" --bridge=none --iptables=false --ip6tables=false \
        --storage-driver vfs >>"$dir/log" 2>&1 &
    pid=$!
    until docker version >/dev/null 2>&1; do kill -0 $pid || { tail "$dir/log"; exit 1; }; sleep 0.2; done
}
crash() {
    # Its own containerd, if there is none of the machine's, ends with it; what supervises each container does not.
    own=$(cat "$dir/run/containerd/containerd.pid" 2>/dev/null || true)
    kill -9 $pid $own
    wait $pid 2>/dev/null || true
    while [ -n "$own" ] && kill -0 "$own" 2>/dev/null; do sleep 0.1; done
}
look() { docker ps --format '{{.Names}}' | sort | paste -sd' ' -; }
begin
docker version --format 'Docker {{.Server.Version}}'
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/sh"
tar -C "$dir" -c bin | docker import - worker:1 >/dev/null
for policy in always on-failure unless-stopped; do
    docker run -d --network none --name $policy --restart $policy worker:1 \
        /bin/sh -c "trap 'exit 1' TERM; while :; do sleep 0.1; done" >/dev/null
done
for way in end crash end; do
    sleep 2
    $way; begin
    for _ in $(seq 50); do [ "$(look)" = "always on-failure unless-stopped" ] && break; sleep 0.2; done
    echo "after ${way/crash/kill -9} and start: $(look)"
    seen="${seen:-}$(look);"
done
[ "$seen" = "always on-failure unless-stopped;always on-failure;always on-failure;" ] || { echo "it does otherwise now"; exit 1; }
