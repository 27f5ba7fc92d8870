#!/usr/bin/env bash
# docker-py: it refuses memory sizes that the engine's own tools, and so Compose files, allow.
#
# One would assume that docker.utils.parse_bytes, which mem_limit and shm_size go through, reads what `docker run -m`
# and Compose read, as the text is the same and the Go code says what is allowed.
# "64mib" and "64MiB", "1t" and "1tb" are sizes for Docker, and a DockerException in docker-py ("should specify the
# units"). Other forms (64m, 1.5g, 1e9) mean the same to both.
# An autoscaler in Python that copies a service's mem_limit from a compose file refuses a file that works; it has to read
# sizes by itself and hand bytes to the library. Seen with docker 7.2.0 (docker/utils/utils.py) and the Go module
# github.com/docker/go-units v0.5.0, which the docker command and Compose use.
set -euo pipefail

dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check docker==7.2.0
cat >"$dir/main.go" <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/docker/go-units"
)

func main() {
	for _, size := range os.Args[1:] {
		bytes, err := units.RAMInBytes(size)
		fmt.Println(bytes, err == nil)
	}
}
GO
printf 'module size\n\nrequire github.com/docker/go-units v0.5.0\n' >"$dir/go.mod"
export GOPATH=$dir/go GOFLAGS=-mod=mod CGO_ENABLED=0
sizes=(64m 1.5g 1e9 64mib 64MiB 1t 1tb)
(cd "$dir" && go run . "${sizes[@]}" >engine.txt 2>go.log) || { cat "$dir/go.log"; exit 1; }

"$dir/venv/bin/python" - "$dir/engine.txt" "${sizes[@]}" <<'PY'
import sys

import docker

lines = open(sys.argv[1]).read().split("\n")
print("docker", docker.__version__, "go-units v0.5.0")
for size, line in zip(sys.argv[2:], lines):
    by_engine = int(line.split()[0])
    try:
        by_library = docker.utils.parse_bytes(size)
    except docker.errors.DockerException:
        by_library = None
    print(f"{size:6} go-units {by_engine:>13}, docker-py {by_library or 'refuses it'}")
    assert by_library == (None if "i" in size.lower() or "t" in size else by_engine), "they agree now"
PY
