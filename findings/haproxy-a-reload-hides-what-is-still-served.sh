#!/usr/bin/env bash
# HAProxy: after a reload the sessions and the queue that were there count as 0, and a server is given its maxconn once more.
#
# One would assume that a reload without an interruption, for which HAProxy is known, goes on with its numbers too, or that open
# requests are counted until they end: nobody outside sees anything of the reload.
# The old process serves what it has, to the end, and tells nobody; the new one begins with scur 0, qcur 0 and a full maxconn.
# Ten requests in progress and five in the queue are 0 and 0 a moment later, while the server works on its ten; and it may be
# given ten more at once, which is what maxconn is there to prevent.
# Where each copy that comes or goes is written into the file, with a reload after it, the autoscaler's own step makes it see an
# idle service, and take copies away that are full of long requests. Add and remove servers without a reload (server-template with
# resolvers), or wait for the longest request after one. Seen with HAProxy 2.6.12 (Debian 12, -W). Needs HAProxy and curl.
set -euo pipefail

dir=$(mktemp -d)
trap '{ kill $(jobs -p); wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
port=${PORT:-28624}
cat >"$dir/upstream.py" <<'PY'
import http.server, sys, time
class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("begun", file=open(sys.argv[2], "a"))
        time.sleep(60)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Slow).serve_forever()
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
    server one 127.0.0.1:$((port + 1)) maxconn 10
CFG
cat >"$dir/look.py" <<'PY'
import csv, socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(b"show stat\n")
rows = csv.DictReader(client.makefile().read()[2:].splitlines())
print(*(f"scur {row['scur']}, qcur {row['qcur']}" for row in rows if row["svname"] == "BACKEND"))
PY
python3 "$dir/upstream.py" $((port + 1)) "$dir/begun" &
haproxy -v | sed -n 1p
haproxy -W -db -f "$dir/haproxy.cfg" >"$dir/log" 2>&1 &
proxy=$!
look() { echo "$(python3 "$dir/look.py" "$dir/socket" 2>/dev/null); begun $(cat "$dir/begun" 2>/dev/null | wc -l)"; }
until_is() { for _ in $(seq 300); do [ "$(look)" = "$1" ] && return; sleep 0.1; done; echo "expected $1, found $(look)"; exit 1; }
call() { for _ in $(seq "$1"); do curl -s "http://127.0.0.1:$port/" & done; }
until [ -S "$dir/socket" ]; do sleep 0.1; done
call 15
until_is "scur 15, qcur 5; begun 10"
echo "15 requests, maxconn 10: $(look)"
kill -USR2 $proxy
until_is "scur 0, qcur 0; begun 10"
echo "after a reload: $(look)"
call 10
until_is "scur 10, qcur 0; begun 20"
echo "ten more: $(look), by a server with maxconn 10, and ended none"
