#!/usr/bin/env bash
# Podman's Docker API: what inspect says of a container is refused when a second one is made from it, or is another thing.
#
# One would assume that HostConfig of GET /containers/NAME/json can be given to POST /containers/create, as on Docker, where
# tools that make a copy of a container do just that.
# A limit that was created as "nofile" is told as "RLIMIT_NOFILE", and create answers 500 to that very name; it tells
# limits that nobody asked for in the same way. A port on the host that was left to the engine ("") is told as the number it
# got, so that every copy is given the same one and cannot run beside the first.
# An autoscaler that multiplies a container it finds (a service of Compose) fails at the first copy, or at the start of the
# second. Write the names small and without RLIMIT_; and do not take a port from here unless it is known to be meant.
# Seen with Podman 4.3.1 (Docker API 1.41). Needs Podman and curl; nothing is started.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap 'kill $pid 2>/dev/null || true; wait; "${podman[@]}" rm --all --force >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
podman=(podman --root "$dir/root" --runroot "$dir/run" --tmpdir "$dir/tmp" --storage-driver vfs --cgroup-manager cgroupfs
    --events-backend file)
mkdir "$dir/image"
touch "$dir/image/worker"
tar -C "$dir/image" -c . | "${podman[@]}" import - localhost/worker:1 >/dev/null 2>&1
"${podman[@]}" system service --time 0 "unix://$dir/socket" 2>"$dir/log" &
pid=$!
until curl -sf --unix-socket "$dir/socket" http://engine/_ping >/dev/null; do
    kill -0 "$pid" || { cat "$dir/log"; exit 1; }
    sleep 0.1
done
"${podman[@]}" --version
cat >"$dir/look.py" <<'PY'
import json
import subprocess
import sys


def ask(path, body=None):
    data = [] if body is None else ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    line = ["curl", "-s", "--unix-socket", sys.argv[1], *data, f"http://engine/v1.41/containers/{path}"]
    return json.loads(subprocess.run(line, check=True, capture_output=True).stdout)


image = {"Image": "localhost/worker:1", "Cmd": ["/worker"]}
limit = {"Name": "nofile", "Soft": 512, "Hard": 512}
ask("create?name=limited", {**image, "HostConfig": {"NetworkMode": "none", "Ulimits": [limit]}})
told = [one for one in ask("limited/json")["HostConfig"]["Ulimits"] if one["Soft"] == 512]
again = ask("create?name=copy", {**image, "HostConfig": {"NetworkMode": "none", "Ulimits": told}})
print("created with", limit, "- inspect:", told)
print("created with what inspect said:", again.get("response"), again.get("cause"))

ports = {"80/tcp": [{"HostPort": ""}]}
ask("create?name=open", {**image, "ExposedPorts": {"80/tcp": {}}, "HostConfig": {"PortBindings": ports}})
port = ask("open/json")["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"]
print("created with any port (\"\") - inspect names one:", port.isdigit())
assert [one["Name"] for one in told] == ["RLIMIT_NOFILE"] and again.get("response") == 500, "limits can be given back now"
assert port.isdigit(), "a port that was left to the engine is told as such now"
PY
python3 "$dir/look.py" "$dir/socket"
