#!/usr/bin/env bash
# Docker: a container with --restart on-failure that was stopped runs again after a restart of the engine, unless it ended with code 0.
#
# One would assume that a stop by hand is final, as with unless-stopped, all the more as Docker's page says of on-failure that it "doesn't
# restart the container if the daemon restarts", and that it asks for failures, of which a stop is none.
# At its start the engine asks the policy of each container that does not run, and for on-failure only the exit code counts: 143 of a
# worker that ends by SIGTERM, 137 of one that was killed after its grace, or 1. That it was stopped is known, and counts for
# unless-stopped alone; a worker that ends with 0 stays away, so that of two services scaled down the same way one comes back.
# An autoscaler that stops copies and keeps them, to have them again soon, finds all of them running after an upgrade of Docker or a
# reboot, at once, beyond its capacity, and they take jobs before it has started itself. Remove what is stopped, make containers with
# unless-stopped, or take the policy away before (`docker update --restart no`). moby#35166 and #47846 (open) have it.
# Seen with Docker 20.10.24 (restartmanager/restartmanager.go: ShouldRestart). It starts an engine of its own in a network of its own:
# needs root, dockerd, ip, unshare and a static busybox.
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
look() { docker ps -a --format '{{.Names}}: {{.Status}}' | sed 's, [0-9]* seconds\( ago\)*$\| Less.*,,' | sort | paste -sd, -; }
begin
docker version --format 'Docker {{.Server.Version}}'
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/sh"
tar -C "$dir" -c bin | docker import - worker:1 >/dev/null
for name in code-0/on-failure code-143/on-failure code-143/unless-stopped; do
    docker run -d --network none --name "${name/\//-}" --restart "${name#*/}" worker:1 \
        /bin/sh -c "trap 'exit ${name//[!0-9]/}' TERM; while :; do sleep 0.1; done" >/dev/null
done
sleep 1
docker stop $(docker ps -q) >/dev/null
echo "stopped:                   $(look)"
end
begin
sleep 3
echo "after the engine's restart: $(look)"
running=$(docker ps --format '{{.Names}}')
[ "$running" = code-143-on-failure ] || { echo "it does otherwise now"; exit 1; }
