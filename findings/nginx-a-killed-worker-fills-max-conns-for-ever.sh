#!/usr/bin/env bash
# nginx: with max_conns, the requests that a killed worker process had stay counted at their server, which gets none any more.
#
# One would assume that the places of max_conns are free again when their connections are gone, all the more as the worker that is started
# in place of the dead one has none open, and the server behind is idle.
# With `zone` the count is in memory that all workers share, and the dead one takes nothing back. A server whose places were all taken
# by it is "busy" from then on: 502 "no live upstreams" at once, for each request, though it would serve; where there are
# several servers, the others get its share. It lasts until a reload, which makes the zone anew.
# max_conns is how one gives a copy no more than it has workers, so that the line waits in the proxy. One kill (the memory of nginx's container)
# takes copies out of service while an autoscaler sees them run, idle; it takes them away, or starts more. Reload when the log has
# "exited on signal". Seen with nginx 1.22.1 (ngx_http_upstream_round_robin.c: ngx_http_upstream_get_peer). Needs nginx and curl.
set -euo pipefail

command -v nginx >/dev/null || { echo "needs nginx"; exit 77; }
dir=$(mktemp -d)
chmod 711 "$dir" # its workers may be nobody's
pid='' behind=''
trap '{ kill $pid $behind; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
cat >nginx.conf <<CONF
worker_processes 1; pid $dir/pid;
error_log $dir/log; events { worker_connections 100; }
http {
    access_log off;
    client_body_temp_path $dir/1; proxy_temp_path $dir/2; fastcgi_temp_path $dir/3; uwsgi_temp_path $dir/4; scgi_temp_path $dir/5;
    upstream copies { zone copies 64k; server unix:$dir/behind max_conns=4; }
    server { listen unix:$dir/front; location / { proxy_pass http://copies; } }
}
CONF
cat >behind.py <<'PY'
import os, socket, threading, time

def serve(connection):
    with connection:
        time.sleep(float(connection.recv(9999).split()[1][1:]))
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

os.umask(0)
server = socket.socket(socket.AF_UNIX)
server.bind("behind")
server.listen(100)
while True:
    threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()
PY
python3 behind.py 2>errors & behind=$!
nginx -v 2>&1
nginx -e "$dir/log" -c "$dir/nginx.conf" -g 'daemon off;' & pid=$!
until [ -S front ] && [ -S behind ]; do sleep 0.1; done
ask() { curl -s --unix-socket front --max-time 30 -o /dev/null -w '%{http_code}' "http://nginx/$1" || true; }
seen=("$(ask 0)")
for _ in 1 2 3 4; do ask 3 >>answers & done
sleep 1
kill -KILL "$(pgrep -P "$pid")"
sleep 4 # all are through with them, the server behind, too
seen+=("$(ask 0)" "$(ask 0)")
kill -HUP "$pid"
sleep 2 && seen+=("$(ask 0)")
echo "at first ${seen[0]}; after a kill of the worker with 4 requests, max_conns=4: ${seen[1]}, ${seen[2]}; after a reload ${seen[3]}"
grep -o 'exited on signal 9\|no live upstreams' log | sort | uniq -c
[ "${seen[*]}" = "200 502 502 200" ] || { echo "it does otherwise now"; exit 1; }
