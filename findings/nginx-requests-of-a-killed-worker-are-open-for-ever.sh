#!/usr/bin/env bash
# nginx: the requests that a worker process had when it was killed stay in stub_status as "Active" and "Writing", until nginx ends.
#
# One would assume that Writing falls when the connections go: the kernel closes them with the process, the clients have their error,
# and the main process starts another worker at once and knows what has happened ("exited on signal 9" in its log).
# The numbers are in memory that all workers share; each adds and takes away its own, and a dead one takes nothing away. The main
# process does not mend it, and a reload keeps the memory. Only an end of nginx and a new start begin with zero.
# The kernel kills a worker for the memory of its container, or it crashes; nobody notices, as another one serves. From then on an
# autoscaler that goes by the requests in progress (this page, or the nginx exporter for Prometheus, which reads it) counts some hundred
# that are not there, never scales down again, and one that waits for 0 waits for ever. Restart nginx when the log has "exited on signal",
# or take the rise of `requests` in place of what is open. Seen with nginx 1.22.1 (ngx_event.c: ngx_stat_writing; ngx_process.c).
# Needs nginx (with stub_status), curl and Python.
set -euo pipefail

command -v nginx >/dev/null || { echo "needs nginx"; exit 77; }
dir=$(mktemp -d)
chmod 711 "$dir" # its workers may be nobody's
pid= behind=
trap '{ kill $pid $behind; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
cat >nginx.conf <<CONF
worker_processes 1;
pid $dir/pid;
error_log $dir/log;
events { worker_connections 100; }
http {
    access_log off;
    client_body_temp_path $dir/1; proxy_temp_path $dir/2; fastcgi_temp_path $dir/3; uwsgi_temp_path $dir/4; scgi_temp_path $dir/5;
    server { listen unix:$dir/front; location /status { stub_status; } location / { proxy_pass http://unix:$dir/behind; } }
}
CONF
cat >behind.py <<'PY'
import os, socket
os.umask(0)
server = socket.socket(socket.AF_UNIX)
server.bind("behind")
server.listen(100)
waiting = [server.accept() for _ in range(100)]  # it never answers
PY
python3 behind.py & behind=$!
nginx -v 2>&1
nginx -e "$dir/log" -c "$dir/nginx.conf" -g 'daemon off;' & pid=$!
until [ -S front ] && [ -S behind ]; do sleep 0.1; done
seen=()
look() {
    seen+=("$(curl -sS --unix-socket front http://nginx/status | awk '/Writing/ { print $4 - 1 }')") # without this question
    echo "$1: ${seen[-1]} in progress"
}
for _ in $(seq 10); do curl -s --unix-socket front --max-time 60 http://nginx/ >>answers & asking+=($!); done
sleep 1
look "ten requests          "
kill -KILL "$(pgrep -P "$pid")"
wait "${asking[@]}" || true # they have all failed
look "their worker is killed"
kill -HUP "$pid"
sleep 2
look "after a reload        "
grep -o 'exited on signal 9' log
[ "${seen[*]}" = "10 10 10" ] || { echo "it forgets them now"; exit 1; }
