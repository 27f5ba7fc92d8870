#!/usr/bin/env bash
# NSQ: asked for a channel that does not exist, nsqd leaves the topic out as well.
#
# One would assume that /stats?topic=mail&channel=worker, when the topic has no such channel yet, answers with the topic,
# its depth and an empty list of channels: /stats?topic=mail does just that.
# It answers "topics": []; for a topic that does not exist at all it is null, which most clients read alike. The messages
# that wait in the topic (they go to the first channel that is made) are in no number of the answer.
# An autoscaler that asks for one channel, to keep answers small, reads "nothing there" while messages wait for the first
# worker, whose subscription would make the channel: it never starts one. Ask for the topic alone when the answer is empty.
# Seen with nsqd v1.3.0 (nsqd/stats.go filters topics by the channels that are left).
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
pid=
export GOPATH="$dir/go" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir "$dir/src" "$dir/bin"
cat >"$dir/src/go.mod" <<'MOD'
module temp
go 1.17
require github.com/nsqio/nsq v1.3.0
replace github.com/judwhite/go-svc => github.com/mreiferson/go-svc v1.2.2-0.20210815184239-7a96e00010f6
MOD
(cd "$dir/src" && go build -o "$dir/bin/nsqd" github.com/nsqio/nsq/apps/nsqd) 2>"$dir/log" || { cat "$dir/log"; exit 1; }
mkdir "$dir/data"
"$dir/bin/nsqd" -data-path "$dir/data" -tcp-address 127.0.0.1:0 -http-address "127.0.0.1:${PORT:-41519}" 2>"$dir/log" &
pid=$!
nsqd="http://127.0.0.1:${PORT:-41519}"
until curl -sf "$nsqd/ping" >/dev/null; do sleep 0.1; done
for job in 1 2 3; do curl -sf -d "job $job" "$nsqd/pub?topic=mail" >/dev/null; done

"$dir/bin/nsqd" -version
topic=$(curl -sf "$nsqd/stats?format=json&topic=mail")
channel=$(curl -sf "$nsqd/stats?format=json&topic=mail&channel=worker")
unknown=$(curl -sf "$nsqd/stats?format=json&topic=never&channel=worker")
TOPIC=$topic CHANNEL=$channel UNKNOWN=$unknown python3 - <<'PY'
import json
import os

topic, channel, unknown = (json.loads(os.environ[name])["topics"] for name in ("TOPIC", "CHANNEL", "UNKNOWN"))
print("topic=mail:", [(one["topic_name"], one["depth"], one["channels"]) for one in topic])
print("topic=mail&channel=worker:", channel)
print("topic=never&channel=worker:", unknown)
assert [one["depth"] for one in topic] == [3], "the topic alone is told otherwise now"
assert not channel and not unknown, "a channel that is not there no longer hides its topic"
PY
