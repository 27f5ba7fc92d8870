#!/usr/bin/env bash
# Docker: a reader of /events that falls behind loses events, and its stream goes on as if none were missing.
#
# One would assume that a stream which stays open is whole: that the engine waits for a slow reader, or ends its stream, so that
# a client which has followed it from the start knows every container.
# About a thousand events wait for each reader, besides what fits into the connection; whatever comes then is thrown away. The
# status is 200, the stream stays open, later events come on it, and no mark, number or error shows the gap.
# An autoscaler counts by these events. After a pause of its own (a stopped process, a suspended machine, a thread that waited
# for a lock) it counts containers that have gone until it lists them; `since` helps only on a new connection.
# Seen with Docker 20.10.24 (pkg/pubsub gives up on a subscriber whose buffer is full). Needs a Docker engine; nothing
# is started: tags of an empty image are what happens.
set -euo pipefail

dir=$(mktemp -d)
image=finding-dropped-events
trap 'docker rmi $image:1 $image:last >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
docker version --format 'Docker {{.Server.Version}}'
mkdir "$dir/empty"
tar -C "$dir/empty" -c . | docker import - "$image:1" >/dev/null
cat >"$dir/look.py" <<'PY'
import http.client
import json
import socket
import sys

IMAGE, PATH, TIMES = sys.argv[1], sys.argv[2].removeprefix("unix://"), 1600


class Engine(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(PATH)


def tag(engine, name):  # one event each
    engine.request("POST", f"/images/{IMAGE}:1/tag?repo={IMAGE}&tag={name}")
    answer = engine.getresponse()
    answer.read()
    assert answer.status == 201, answer.status


reader, engine = Engine("engine"), Engine("engine")
reader.request("GET", "/events")
stream = reader.getresponse()
for _ in range(TIMES):
    tag(engine, "1")
seen = 0
tag(engine, "last")  # there is no room for it either
while seen < 500:  # now there is
    seen += f"{IMAGE}:1" in json.loads(stream.readline())["Actor"]["Attributes"].get("name", "")
tag(engine, "last")
while f"{IMAGE}:last" not in (line := stream.readline().decode()):
    seen += f"{IMAGE}:1" in line
print(f"{TIMES} events while nobody read: {seen} came, status {stream.status}, the stream is still open, and later ones come")
sys.exit("none is lost now" if seen >= TIMES else 0)
PY
timeout 300 python3 "$dir/look.py" "$image" "${DOCKER_HOST:-unix:///var/run/docker.sock}"
