#!/usr/bin/env bash
# Swarm: `docker service rollback` after a scale takes the scale back, and leaves the bad image; the good one is not to be had any more.
#
# One would assume that a rollback leads back to what was there before the last deployment, as its page has it ("a service to its
# previous version"), and that a number of replicas is no version: `docker service scale` starts nothing anew either.
# Each update of a service, a scale too, makes what was there the one previous specification, and a rollback swaps the two. So
# after image 2 and one scale, a rollback brings back the old number with image 2; a second one the new number, with image 2.
# Both end with the exit code 0.
# With an autoscaler at work the previous specification is nearly always the one before its last step: the usual way out of a bad
# deployment halves or doubles the copies of it. Deploy the old image by its name, and have that written down somewhere,
# as no rollback brings it back. Seen with Docker 20.10.24 (swarmkit: controlapi/service.go).
# It starts an engine of its own in a network of its own: needs root, dockerd, ip and unshare; no container is started.
set -euo pipefail

dir=$(mktemp -d)
pid=
clean() {
    [ -z "$pid" ] || { kill $pid; wait $pid; } 2>/dev/null || true
    awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l
    rm -rf "$dir"
}
trap clean EXIT
echo '{}' >"$dir/config.json"
export DOCKER_HOST="unix://$dir/docker.sock"
unshare --net sh -c 'ip link set lo up; exec "$@"' '' dockerd --config-file "$dir/config.json" --host "$DOCKER_HOST" \
    --data-root "$dir/data" --exec-root "$dir/run" --pidfile "$dir/pid" --bridge=none --iptables=false --ip6tables=false \
    >"$dir/log" 2>&1 &
pid=$!
until docker version >/dev/null 2>&1; do kill -0 $pid || { tail "$dir/log"; exit 1; }; sleep 0.2; done
docker version --format 'Docker {{.Server.Version}}'
docker swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377 >/dev/null
there() { docker service inspect web --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}, replicas {{.Spec.Mode.Replicated.Replicas}}'; }
step() { # NAME COMMAND...
    local name=$1
    shift
    "$@" >/dev/null
    seen+=("$(there)")
    printf '%-24s %s\n' "$name" "${seen[-1]}"
}
seen=()
here=(--detach --no-resolve-image)
step "create, image 1" docker service create "${here[@]}" --name web --replicas 2 --constraint node.labels.none==yes shop:1
step "deploy image 2" docker service update "${here[@]}" --image shop:2 web
step "scale from 2 to 6" docker service scale --detach web=6
step "rollback" docker service rollback --detach web
step "rollback again" docker service rollback --detach web
[ "${seen[3]} / ${seen[4]}" = "shop:2, replicas 2 / shop:2, replicas 6" ] || { echo "it brings the image back now"; exit 1; }
