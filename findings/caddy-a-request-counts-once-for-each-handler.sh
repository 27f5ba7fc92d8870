#!/usr/bin/env bash
# Caddy: its metrics count a request once for each handler of its site, and under other names once the site has a host name.
#
# One would assume that caddy_http_requests_in_flight, whose help is "Number of requests currently handled by this server",
# adds up to the requests that are open, or that its series handler="reverse_proxy" is what is passed on.
# Every directive that becomes a handler has a series of its own, so that with `encode` and `header` the sum is three times the
# truth. And as soon as the site's address has a host name, all its handlers are inside a "subroute", and only that has a
# series: no reverse_proxy is there. caddy_http_requests_total and the histograms go the same way.
# An autoscaler that takes the sum starts three times as many copies, and one that asks for reverse_proxy reads nothing once
# somebody has given the site its name. Take reverse_proxy and subroute, and no others.
# Seen with Caddy 2.6.2 (Debian 12) and 2.10.2 (modules/caddyhttp/metrics.go, routes.go). Needs Caddy and curl.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
export HOME=$dir XDG_DATA_HOME=$dir XDG_CONFIG_HOME=$dir
port=${PORT:-28480}
cat >"$dir/Caddyfile" <<CADDY
{
	admin 127.0.0.1:$port
	auto_https off
	servers {
		metrics
	}
}
:$((port + 1)) {
	encode gzip
	header X-Any value
	reverse_proxy 127.0.0.1:$((port + 3))
}
http://shop.localhost:$((port + 2)) {
	encode gzip
	header X-Any value
	reverse_proxy 127.0.0.1:$((port + 3))
}
CADDY
cat >"$dir/upstream.py" <<'PY'
import http.server, sys, time
class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(30)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Slow).serve_forever()
PY
python3 "$dir/upstream.py" $((port + 3)) &
caddy version
caddy run --config "$dir/Caddyfile" --adapter caddyfile 2>"$dir/log" &
until curl -sf "http://127.0.0.1:$port/metrics" >/dev/null && (: <"/dev/tcp/127.0.0.1/$((port + 3))") 2>"$dir/log2"; do sleep 0.1; done
for _ in 1 2; do curl -s "http://127.0.0.1:$((port + 1))/" >/dev/null & done
for _ in 1 2 3; do curl -s -H 'Host: shop.localhost' "http://127.0.0.1:$((port + 2))/" >/dev/null & done
sleep 3
found=$(curl -s "http://127.0.0.1:$port/metrics" | sed -n 's/^caddy_http_requests_in_flight{handler="\(.*\)",server.* \(.*\)/\1=\2/p' | sort | xargs)
echo "2 requests to a site without a name, 3 to one with a name: $found"
[ "$found" = "encode=2 headers=2 reverse_proxy=2 subroute=3" ] || { echo "it counts otherwise now"; exit 1; }
