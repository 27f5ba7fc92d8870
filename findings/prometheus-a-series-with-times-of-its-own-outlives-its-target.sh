#!/usr/bin/env bash
# Prometheus: a sample that comes with a time of its own is still the answer five minutes after its series or target has gone.
#
# One would assume that a series ends with the scrape that no longer has it, and with its target's last scrape, as Prometheus
# has it since version 2: a queue or a container that is no longer there is then in no answer.
# That holds only for samples without a time. If the exporter writes one behind the value, as cAdvisor does for containers, no
# end is marked, and queries find the last value for five minutes more (--query.lookback-delta), with `up` at 1 or 0 beside it.
# Written in the same answer, side by side, one of two series is gone after a second, and the other is not.
# An autoscaler that counts containers by such a series counts those it has stopped, and one that reads a queue keeps workers for
# a queue that was deleted. Ask with a window, `last_over_time(x[15s])`, or set honor_timestamps: false in the job (with that
# it ends like the other). Seen with Prometheus 2.42.0 (Debian 12; scrape/scrape.go). Needs Prometheus and curl.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
port=${PORT:-28630}
cat >"$dir/exporter.py" <<'PY'
import http.server, os, sys, time
class Exporter(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        if not os.path.exists(sys.argv[2]):
            self.wfile.write(f"jobs_plain 50\njobs_with_time 50 {time.time() * 1000:.0f}\n".encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Exporter).serve_forever()
PY
cat >"$dir/prometheus.yml" <<YML
scrape_configs:
  - {job_name: exporter, scrape_interval: 1s, static_configs: [{targets: ["127.0.0.1:$((port + 1))"]}]}
YML
ask() { curl -s "http://127.0.0.1:$port/api/v1/query" --data-urlencode "query=$1"; }
names() { ask '{__name__=~"jobs_.*"}' | grep -o 'jobs_[a-z_]*' | sort | xargs; }
wait_for() { for _ in $(seq 600); do [ "$(names)" = "$1" ] && return; sleep 0.1; done; echo "expected $1, found $(names)"; exit 1; }

python3 "$dir/exporter.py" $((port + 1)) "$dir/gone" &
exporter=$!
prometheus --version 2>&1 | sed -n 1p
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" --web.listen-address="127.0.0.1:$port" 2>"$dir/log" &
wait_for "jobs_plain jobs_with_time"
touch "$dir/gone"
wait_for jobs_with_time
sleep 10
echo "both series went from the exporter at once; 10 s after the end of the plain one there is: $(names)"
kill $exporter
until ask up | grep -q '"0"\]'; do sleep 0.1; done
sleep 5
found=$(names)
echo "the exporter has gone too, up is 0; there is: $found"
[ "$found" = jobs_with_time ] || { echo "it ends now"; exit 1; }
echo "last_over_time(jobs_with_time[5s]): $(ask 'last_over_time(jobs_with_time[5s])' | grep -o '"result":.*')"
