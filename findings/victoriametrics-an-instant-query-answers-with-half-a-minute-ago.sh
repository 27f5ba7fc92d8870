#!/usr/bin/env bash
# VictoriaMetrics: an instant query is answered with the value of half a minute ago, under the time of now.
#
# One would assume that /api/v1/query, which is Prometheus' API, answers with the newest sample, as Prometheus does, and that the time
# beside the value is when it was so, or when it was asked for.
# Unless told otherwise it looks at what was there 30 s ago (-search.latencyOffset, "may contain incomplete data"), and then adds the
# 30 s to the time in its answer. A series that is new is "no data" for as long. With nocache=1 the same query has the newest sample.
# An autoscaler that asks twice a second sees a queue of a thousand as empty for 30 s more, and a queue that has been worked off as a
# thousand for as long, so that it starts workers for nothing; no check of the age of a sample can find it. Send nocache=1 (Prometheus
# does not mind it) or latency_offset=1ms with the query, or start it with -search.latencyOffset=1s.
# Seen with VictoriaMetrics v1.148.9 (app/vmselect/prometheus: QueryHandler). Needs Go and curl, and two minutes for the build.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '{ kill $pid; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir "$dir/src"
cd "$dir/src"
printf 'module temp\ngo 1.26\nrequire github.com/VictoriaMetrics/VictoriaMetrics v1.148.9\n' >go.mod
go build -o ../victoria github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics 2>log || { cat log; exit 1; }
cd "$dir"
address=127.0.0.1:${PORT:-28428}
./victoria -storageDataPath "$dir/data" -httpListenAddr "$address" 2>log &
pid=$!
until curl -sf "http://$address/health" >/dev/null; do sleep 0.1; done
echo "VictoriaMetrics $(go version -m victoria | sed -n 's,.*VictoriaMetrics/VictoriaMetrics[[:space:]]*\(v[0-9.]*\).*,\1,p')"
cat >look.py <<'PY'
import json, sys, time, urllib.request
address = f"http://{sys.argv[1]}/api/v1"
def send(value):
    urllib.request.urlopen(f"{address}/import/prometheus", f"jobs_waiting {value}\n".encode(), 10)
def ask(more=""):
    with urllib.request.urlopen(f"{address}/query?query=jobs_waiting{more}", timeout=10) as answer:
        found = json.load(answer)["data"]["result"]
    return (found[0]["value"][1], abs(time.time() - found[0]["value"][0]) < 5) if found else ("nothing", True)
def watch(value, seconds):  # an exporter that tells it each second
    for _ in range(seconds):
        send(value)
        time.sleep(1)
seen = []
for value, seconds in ((1000, 20), (1000, 20), (0, 20), (0, 20)):
    watch(value, seconds)
    seen.append((value, *ask(), *ask("&nocache=1")))
    print("it is %d; a query says %s, under the time of now: %s; with nocache=1: %s, %s" % seen[-1])
told = [one[1] for one in seen]
assert told == ["nothing", "1000", "1000", "0"], "it answers with the newest now"
assert all(one[2] and one[4] and one[3] == str(one[0]) for one in seen), "the times, or nocache=1, tell it now"
PY
python3 look.py "$address"
