#!/usr/bin/env bash
# HAProxy: the current sessions of a backend (scur) are those in its queue (qcur) too, but those of its servers are not.
#
# One would assume that qcur is what waits and scur what is being served, so that both added up are the load of a backend,
# as they are in the rows of its servers.
# In the row BACKEND scur has the queue in it: with two places and five requests it says scur 5 and qcur 3, and the server's
# row scur 2 and qcur 0, as requests that may go to any server wait in the backend's queue.
# An autoscaler that adds the two columns of the backend counts whatever waits twice, and starts most when the queue is
# longest; and one that adds up the rows of the servers sees no queue. Served are scur - qcur of the row BACKEND.
# Seen with HAProxy 2.6.12 (Debian 12), whose `show stat` has both columns. Needs HAProxy.
set -euo pipefail

dir=$(mktemp -d)
export PATH="$PATH:/usr/sbin"
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
port=${PORT:-28470}
cat >"$dir/haproxy.cfg" <<CFG
global
    stats socket $dir/socket
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue 60s
frontend front
    bind 127.0.0.1:$port
    default_backend jobs
backend jobs
    server one 127.0.0.1:$((port + 1)) maxconn 2
CFG
cat >"$dir/look.py" <<'PY'
import csv, http.server, io, socket, sys, threading, time
folder, port = sys.argv[1], int(sys.argv[2])
go = threading.Event()
class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        go.wait(60)
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_): pass
threading.Thread(target=http.server.ThreadingHTTPServer(("127.0.0.1", port + 1), Slow).serve_forever, daemon=True).start()
clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
for client in clients: client.sendall(b"GET / HTTP/1.0\r\n\r\n")
time.sleep(2)
with socket.socket(socket.AF_UNIX) as stats:
    stats.connect(f"{folder}/socket")
    stats.sendall(b"show stat\n")
    text = stats.makefile().read()
rows = {r["svname"]: (int(r["qcur"]), int(r["scur"])) for r in csv.DictReader(io.StringIO(text[2:])) if r["pxname"] == "jobs"}
go.set()
print("5 requests, 2 places: (qcur, scur) of", rows)
sys.exit(rows != {"one": (0, 2), "BACKEND": (3, 5)} and "the columns mean something else now")
PY
haproxy -v | sed -n 1p
haproxy -db -f "$dir/haproxy.cfg" 2>"$dir/log" &
until [ -S "$dir/socket" ]; do sleep 0.1; done
python3 "$dir/look.py" "$dir" "$port"
