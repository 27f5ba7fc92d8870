#!/usr/bin/env bash
# docker-py: of a container with a long stop grace of its own, stop() raises ReadTimeout too early, and restart() kills it after 10 s.
#
# One would assume that stop() and restart() without arguments do as `docker stop` does: SIGTERM, the container's own grace
# (--stop-timeout, stop_grace_period in Compose), SIGKILL, and that they wait for it: their time-out even has the grace added.
# stop() leaves the grace to the engine, but waits only ten seconds, Docker's default, beyond the client's own time-out (60 s): with
# a grace of two minutes it raises after 70 s, while the container works on. restart() sends the ten seconds to the engine, and
# so overrules the grace: the job that was to have two minutes is cut off.
# An autoscaler that takes that error for a failed stop stops a second copy in its place; one that restarts workers by this
# method loses jobs, and none by `docker restart`-like stops. Pass the container's own grace (Config.StopTimeout) as `timeout` to
# both. Here the grace is 60 s, of which the program needs 20, and the client waits 2 s. Seen with docker 7.2.0
# (docker/api/container.py) on Docker 20.10.24. Needs a Docker engine and a static busybox.
set -euo pipefail

dir=$(mktemp -d)
image=finding-stop:1
made=()
trap 'docker rm -f "${made[@]}" >/dev/null 2>&1 || true; docker rmi "$image" >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check docker==7.2.0
docker version --format 'Docker {{.Server.Version}}'
mkdir "$dir/bin"
cp -L "$(command -v busybox)" "$dir/bin/busybox"
ln -s busybox "$dir/bin/sh"
tar -C "$dir" -c bin | docker import --change 'ENV PATH=/bin' - "$image" >/dev/null
program='trap "busybox sleep 20; echo finished; exit 7" TERM; echo ready; while :; do busybox sleep 0.1; done'
for _ in 1 2; do
    made+=("$(docker run -d --network none --stop-timeout 60 "$image" sh -c "$program")")
    until docker logs "${made[-1]}" | grep -q ready; do sleep 0.1; done
done
cat >"$dir/look.py" <<'PY'
import sys

import docker
import requests

hasty, patient = docker.from_env(timeout=2), docker.from_env(timeout=300)
first = hasty.containers.get(sys.argv[1])
print("docker", docker.__version__, "- a program that needs 20 s; stop_timeout", first.attrs["Config"]["StopTimeout"], "s")
try:
    first.stop()
    said = "nothing"
except requests.exceptions.ReadTimeout as error:
    said = str(error)
first.reload()
print("stop() raised:", said, "- and the container is", status := first.status)
code = patient.containers.get(first.id).wait()["StatusCode"]
print("it ended with the code", code, "and had", first_log := first.logs().split())
second = patient.containers.get(sys.argv[2])
second.restart()
print("after restart() of another one it had", second_log := second.logs().split())
assert ("read timeout=12" in said, status, code, first_log) == (True, "running", 7, [b"ready", b"finished"]), "stop() waits now"
assert b"finished" not in second_log, "restart() keeps to the grace now"
PY
"$dir/venv/bin/python" "$dir/look.py" "${made[@]}"
