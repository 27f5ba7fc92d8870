#!/usr/bin/env bash
# HAProxy: the times of a backend (qtime, rtime) stay what they were when no request comes, and fall only by requests.
#
# One would assume that qtime, how long requests wait for a server, is of the last seconds, as `rate` in the same row is, and is
# 0 soon after the queue and the traffic have gone.
# They are averages over the last 1024 requests, of whatever age: after ten requests that had to wait, qtime says seconds for as
# long as nobody calls, all night, with qcur 0, scur 0 and rate 0 beside it. Hundreds of quick requests bring it down slowly.
# An autoscaler that goes by the waiting time keeps every copy through the night because of the last rush, and starts more if
# the time is above its target; where there is little traffic a rush counts for hours. Go by qcur and scur, which are of now,
# and take a time only where there were requests (req_tot has risen). Seen with HAProxy 2.6.12 (Debian 12), whose manual has
# the number 1024. Needs HAProxy and curl.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
port=${PORT:-28620}
cat >"$dir/upstream.py" <<'PY'
import http.server, sys, time
class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.5 * (self.path == "/slow"))
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Web).serve_forever()
PY
cat >"$dir/haproxy.cfg" <<CFG
global
    stats socket $dir/socket
listen web
    mode http
    timeout connect 60s
    timeout client 60s
    timeout server 60s
    bind 127.0.0.1:$port
    server one 127.0.0.1:$((port + 1)) maxconn 1
CFG
cat >"$dir/look.py" <<'PY'
import csv, socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(b"show stat\n")
rows = csv.DictReader(client.makefile().read()[2:].splitlines())
(row,) = (row for row in rows if row["svname"] == "BACKEND")
print(*(row[name] for name in ("qtime", "rtime", "qcur", "scur", "rate")))
PY
python3 "$dir/upstream.py" $((port + 1)) &
haproxy -v | sed -n 1p
haproxy -db -f "$dir/haproxy.cfg" >"$dir/log" 2>&1 &
until curl -sf "http://127.0.0.1:$port/" >/dev/null; do sleep 0.1; done
seq 10 | xargs -P 10 -I N curl -s "http://127.0.0.1:$port/slow"
sleep 2
read -r qtime rtime _ < <(python3 "$dir/look.py" "$dir/socket")
sleep 20
read -r qtime2 rtime2 rest < <(python3 "$dir/look.py" "$dir/socket")
echo "10 requests of 0.5 s to a server that takes one at a time: qtime $qtime ms, rtime $rtime ms"
echo "20 s without a request: qtime $qtime2 ms, rtime $rtime2 ms; qcur, scur and rate: $rest"
[ "$qtime" -gt 500 ] && [ "$qtime $rtime" = "$qtime2 $rtime2" ] && [ "$rest" = "0 0 0" ] || { echo "it is otherwise now"; exit 1; }
