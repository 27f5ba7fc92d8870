#!/usr/bin/env bash
# Apache as a proxy: a child that is killed leaves its requests in "Busy" of the backends, and bybusyness passes such a backend by.
#
# One would assume that Busy of the balancer-manager is the number of requests that a backend has at the moment, and that
# lbmethod=bybusyness gives the next one to the backend with the fewest.
# It is a number in shared memory that the child counts up and down. What a killed child (by the kernel, for its memory) had in progress is
# counted until the next restart: with one such request a backend gets nothing more, unless the other has as many at the moment. A
# graceful restart errs the other way: Busy is 0, while the children of before still have their requests there.
# Who scales the backends by Busy sees load where there is none, and has one copy that is idle for good; who drains one by it (status
# "drain", wait for Busy 0) never gets there, or after a restart stops it too early. Count in the backends.
# Seen with Apache 2.4.71 (mod_proxy_balancer, mod_lbmethod_bybusyness). Needs apache2 and curl on the PATH (Debian: apache2-bin).
set -euo pipefail

export PATH=$PATH:/usr/sbin
for tool in apache2 curl python3; do command -v $tool >/dev/null || { echo "this needs $tool"; exit 1; }; done
dir=$(mktemp -d) port=${PORT:-41980} pids=()
trap 'touch "$dir/enough"; kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
cd "$dir"
cat >backend.py <<'PY'
import http.server, os, sys, time
class Backend(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open(f"begun-{self.server.server_port}", "a").write("x")
        while self.path == "/long" and not os.path.exists("enough"):
            time.sleep(0.1)
        self.send_response(204)
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Backend).serve_forever()
PY
{ printf 'ServerRoot /usr/lib/apache2\nServerName shop\nListen 127.0.0.1:%s\n' "$port"
  printf '%s\n' "PidFile $dir/pid" "ErrorLog $dir/log" "DefaultRuntimeDir $dir"
  printf 'LoadModule %s_module modules/mod_%s.so\n' $(printf '%s\n' mpm_event authz_core proxy{,_http,_balancer} lbmethod_bybusyness slotmem_shm | sed 'p')
  printf 'User nobody\nGroup nogroup\n<Location /manager>\nSetHandler balancer-manager\n</Location>\n<Proxy balancer://backends>\n'
  printf 'BalancerMember http://127.0.0.1:%s\n' $((port + 1)) $((port + 2))
  printf 'ProxySet lbmethod=bybusyness\n</Proxy>\nProxyPass /manager !\nProxyPass / balancer://backends/\n'; } >conf
for backend in 1 2; do python3 backend.py $((port + backend)) 2>/dev/null & pids+=($!); done
for backend in 1 2; do until curl -s "http://127.0.0.1:$((port + backend))/short"; do sleep 0.1; done; done
rm begun-*
apache2 -f "$dir/conf" -DFOREGROUND 2>/dev/null & pids+=($!)
manager() { curl -s --max-time 5 "http://127.0.0.1:$port/manager"; }
busy() { manager | tr -d '\n' | sed 's,</tr>,\n,g' | awk -F '</td><td>' '/>http:/ { print $8 }' | xargs; }
wait_for() { for _ in $(seq 150); do [ "$(cat begun-* 2>/dev/null | wc -c)" -lt "$1" ] || return 0; sleep 0.2; done; echo "no request came"; exit 1; }
long() { curl -s -o /dev/null --max-time 60 "http://127.0.0.1:$port/long" & pids+=($!); }
until manager >/dev/null; do sleep 0.2; done
apache2 -v | head -1
long && wait_for 1 && echo "one request: busy $(busy)"
kill -KILL $(pgrep -P "${pids[2]}")
touch enough
until sleep 3 && manager >/dev/null; do :; done
killed=$(busy)
for _ in $(seq 20); do curl -s --max-time 20 "http://127.0.0.1:$port/short"; done
begun=$(for backend in 1 2; do cat begun-$((port + backend)) 2>/dev/null | wc -c; done | xargs)
echo "its child is killed: busy $killed; 20 more requests, one after the other: begun at the backends $begun, busy $(busy)"
rm enough
for _ in 1 2 3 4; do long; done
wait_for 25 && echo "4 more: busy $(busy)"
kill -USR1 "${pids[2]}" # graceful
for _ in $(seq 50); do [ "$(busy)" = "0 0" ] || sleep 0.2; done
echo "after a graceful restart, while they are in progress: busy $(busy)"
[ "$killed, $begun, $(busy)" = "1 0, 1 20, 0 0" ] || { echo "it counts otherwise now"; exit 1; }
