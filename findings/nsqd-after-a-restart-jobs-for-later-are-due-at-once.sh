#!/usr/bin/env bash
# NSQ: when nsqd is restarted, in good order, all messages for later are due at once.
#
# One would assume that a message published with a delay (DPUB, /pub?defer=), or put back with one (REQ, the usual backoff of a job
# that failed), keeps its time over a restart of nsqd, as everything that waits is kept on disk.
# The times are in memory only: at the end nsqd writes deferred messages to its disk queue like any others, and after the start they
# are the channel's depth. deferred_count 50 is depth 50 a moment later, and each consumer gets them now.
# An autoscaler, which looks at depth, starts its maximum for jobs of the next hour; jobs that wait out a failing service all go at it
# together. No log mentions it. Let the job itself carry its time, and put it back if it is early.
# Seen with nsqd v1.3.0 (nsqd/channel.go, flush). Needs Go and curl.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap 'kill $pid 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
export GOPATH="$dir/go" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir "$dir/src" "$dir/bin" "$dir/data"
cat >"$dir/src/go.mod" <<'MOD'
module temp
go 1.17
require github.com/nsqio/nsq v1.3.0
replace github.com/judwhite/go-svc => github.com/mreiferson/go-svc v1.2.2-0.20210815184239-7a96e00010f6
MOD
(cd "$dir/src" && go build -o "$dir/bin/nsqd" github.com/nsqio/nsq/apps/nsqd) 2>"$dir/log" || { cat "$dir/log"; exit 1; }
port=${PORT:-41549}
url="http://127.0.0.1:$((port + 1))"
"$dir/bin/nsqd" -version
start() {
    "$dir/bin/nsqd" -data-path "$dir/data" -tcp-address "127.0.0.1:$port" -http-address "${url#http://}" 2>>"$dir/log" &
    pid=$!
    until curl -sf "$url/ping" >/dev/null; do sleep 0.1; done
}
counts() {
    curl -s "$url/stats?format=json&topic=mail" | python3 -c 'import json, sys
(topic,) = json.load(sys.stdin)["topics"]
(channel,) = topic["channels"]
print("depth", topic["depth"] + channel["depth"], "deferred", channel["deferred_count"])'
}
start
curl -s -X POST "$url/topic/create?topic=mail"
curl -s -X POST "$url/channel/create?topic=mail&channel=worker"
for _ in $(seq 50); do curl -s -d job "$url/pub?topic=mail&defer=3600000" >/dev/null; done
until [ "$(counts)" = "depth 0 deferred 50" ]; do sleep 0.1; done
before=$(counts)
kill $pid
wait $pid
start
sleep 1
after=$(counts)
echo "fifty messages for in an hour: $before; after SIGTERM and a new start: $after"
[ "$after" = "depth 50 deferred 0" ] || { echo "they keep their time now"; exit 1; }
