#!/usr/bin/env bash
# Swarm: one scale during a deployment, and --update-failure-action rollback rolls the bad image out to all copies.
#
# One would assume that a deployment whose first new copy fails is rolled back to the image before, as it was asked for, however many
# copies were wanted meanwhile: three of four old ones still work at that moment.
# Each change of a service, a scale too, makes what was there the one previous specification, and the rollback takes that: the
# bad image with the old number. It stops the old copies that work, starts bad ones in their place, and is "paused" or even "completed".
# There is no copy left that works, and the good image is not in the service any more. Without the scale the same deployment
# is undone after one failed copy.
# An autoscaler scales when it has to, and a deployment takes minutes: it must not write while UpdateStatus.State is updating or a
# rollback is under way. By hand, deploy the old image by its name. Seen with Docker 20.10.24 (swarmkit: controlapi, updater).
# It starts an engine of its own in a network of its own: needs root, dockerd, ip, unshare and a static busybox (busybox-static).
set -euo pipefail

for tool in dockerd docker ip unshare busybox; do command -v "$tool" >/dev/null || { echo "this needs $tool"; exit 1; }; done
dir=$(mktemp -d)
pid=
gone() { docker service rm web >/dev/null 2>&1 || true; for _ in $(seq 120); do [ -n "$(docker ps -q 2>/dev/null)" ] || break; sleep 0.5; done; }
clean() {
    gone
    [ -z "$pid" ] || { kill $pid; wait $pid; } 2>/dev/null || true
    awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l
    rm -rf "$dir"
}
trap clean EXIT
echo '{}' >"$dir/config.json"
export DOCKER_HOST="unix://$dir/docker.sock"
unshare --net sh -c 'ip link set lo up; exec "$@"' '' dockerd --config-file "$dir/config.json" --host "$DOCKER_HOST" --storage-driver vfs \
    --data-root "$dir/data" --exec-root "$dir/run" --pidfile "$dir/pid" --bridge=none --iptables=false --ip6tables=false >"$dir/log" 2>&1 &
pid=$!
until docker version >/dev/null 2>&1; do kill -0 $pid || { tail "$dir/log"; exit 1; }; sleep 0.2; done
docker version --format 'Docker {{.Server.Version}}'
docker swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377 >/dev/null
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/sh"
image() { echo "$2" >"$dir/bin/job"; tar -C "$dir" -c bin | docker import - "shop:$1" >/dev/null; }
image good 'trap "exit 0" TERM; while :; do sleep 0.1; done'
image bad 'sleep 5; exit 3'
state() { docker service inspect web --format '{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}'; }
running() { docker ps --format '{{.Image}}' | grep -c "shop:$1" || true; }
look() { # COPIES: the number that it is scaled to during the update, or none
    docker service create --detach --no-resolve-image --network host --name web --replicas 4 --stop-grace-period 1s --restart-delay 2s \
        --update-failure-action rollback --update-monitor 15s shop:good /bin/sh /bin/job >/dev/null
    until [ "$(running good)" = 4 ]; do sleep 0.5; done
    docker service update --detach --no-resolve-image --image shop:bad web >/dev/null
    until [ "$(running bad)" -ge 1 ]; do sleep 0.1; done
    [ -z "${1-}" ] || docker service scale --detach "web=$1" >/dev/null
    until [[ $(state) == rollback_[cp]* ]]; do sleep 0.5; done
    seen+=("$(docker service inspect web --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}') $(state) $(running good)")
    echo "${1:+scaled to $1 in the update, }image, state, copies of the good image that run: ${seen[-1]}"
    gone
}
seen=()
look
look 5
[ "${seen[0]}" = "shop:good rollback_completed 4" ] && [[ ${seen[1]} == "shop:bad rollback_"*" 0" ]] || { echo "it does otherwise now"; exit 1; }
