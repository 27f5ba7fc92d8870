#!/usr/bin/env bash
# Docker: a container that is paused is unhealthy at once, without an event, and stays so after unpause until the next check.
#
# One would assume that the health of a paused container stays what it was, as no check runs, or that a change of it comes as an
# event health_status, as every other does.
# The pause itself makes "unhealthy" of "healthy", with a failing streak of 0, no failed check in the log, and no event. After
# unpause it is "unhealthy" while the program serves already, until a check has run: with `--health-interval 5m` for minutes; the
# change back has an event.
# An autoscaler that keeps copies paused in reserve, to have them at once, has them refused by whoever goes by health: proxies
# that read it (Traefik), `depends_on: service_healthy`, tools that restart what is unhealthy; and one that follows events alone
# thinks it healthy all the time. Give it a short interval, and do not restart what is paused.
# Seen with Docker 20.10.24 (container/health.go: CloseMonitorChannel). Needs a Docker engine and a static busybox.
set -euo pipefail

dir=$(mktemp -d)
image=finding-health:1
id=
trap 'docker rm -f $id >/dev/null 2>&1 || true; docker rmi "$image" >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
docker version --format 'Docker {{.Server.Version}}'
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/busybox"
ln -s busybox "$dir/bin/sh"
tar -C "$dir" -c bin | docker import --change 'ENV PATH=/bin' - "$image" >/dev/null
health() { docker inspect -f '{{.State.Status}}, {{.State.Health.Status}}, failing streak {{.State.Health.FailingStreak}}' "$id"; }
events() { docker events --since "$begin" --until "$(date +%s)" --filter "container=$id" --format '{{.Action}}' | grep -v exec_ | xargs; }

begin=$(date +%s)
id=$(docker run -d --network none --health-cmd 'busybox true' --health-interval 15s "$image" busybox sleep 600)
until [ "$(health)" = "running, healthy, failing streak 0" ]; do sleep 0.2; done
docker pause "$id" >/dev/null
paused=$(health)
sleep 2
told=$(events)
docker unpause "$id" >/dev/null
unpaused=$(health)
until [ "$(health)" = "running, healthy, failing streak 0" ]; do sleep 0.2; done
sleep 2
echo "paused:   $paused"
echo "events:   $told"
echo "unpaused: $unpaused"
echo "events after the next check: $(events)"
[ "$paused / $unpaused" = "paused, unhealthy, failing streak 0 / running, unhealthy, failing streak 0" ] || { echo "it stays healthy now"; exit 1; }
case $told in *unhealthy*) echo "there is an event now"; exit 1 ;; esac
