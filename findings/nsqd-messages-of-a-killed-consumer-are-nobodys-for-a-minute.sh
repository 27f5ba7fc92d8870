#!/usr/bin/env bash
# NSQ: the messages of a consumer that has gone stay in flight, with no consumer there, and nobody gets them for a minute.
#
# One would assume that nsqd puts the messages of a closed connection back into their channel at once, as RabbitMQ, beanstalkd
# and gearmand do: it knows whose they are, and that he is gone.
# It takes the client out of its list at once, and lets the messages be until their time-out (-msg-timeout, a minute by default,
# or what the client asked for): depth 0, in_flight_count 5, client_count 0, and the next consumer waits beside them.
# An autoscaler by depth reads an empty channel after its last worker was killed, and starts none for that minute; one that adds
# what is in flight keeps workers that cannot get it. So in_flight_count beside client_count 0 is work, for one worker, later;
# and a worker is to be stopped so that it can finish, or give back (REQ) what it has. Seen with nsqd v1.3.0 (nsqd/channel.go).
set -euo pipefail

dir=$(mktemp -d)
pid=
trap 'kill "$pid" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
export GOPATH="$dir/go" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir "$dir/src" "$dir/bin" "$dir/data"
cat >"$dir/src/go.mod" <<'MOD'
module temp
go 1.17
require github.com/nsqio/nsq v1.3.0
replace github.com/judwhite/go-svc => github.com/mreiferson/go-svc v1.2.2-0.20210815184239-7a96e00010f6
MOD
(cd "$dir/src" && go build -o "$dir/bin/nsqd" github.com/nsqio/nsq/apps/nsqd) 2>"$dir/log" || { cat "$dir/log"; exit 1; }
port=${PORT:-41529}
"$dir/bin/nsqd" -data-path "$dir/data" -tcp-address "127.0.0.1:$port" -http-address "127.0.0.1:$((port + 1))" 2>"$dir/log" &
pid=$!
until curl -sf "http://127.0.0.1:$((port + 1))/ping" >/dev/null; do sleep 0.1; done
"$dir/bin/nsqd" -version
cat >"$dir/look.py" <<'PY'
import json, socket, sys, time, urllib.request
PORT = int(sys.argv[1])
def consumer():
    client = socket.create_connection(("127.0.0.1", PORT))
    client.sendall(b"  V2SUB mail worker\nRDY 5\n")
    return client
def look():
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT + 1}/stats?format=json&topic=mail") as answer:
        (channel,) = json.load(answer)["topics"][0]["channels"] or [{}]
    return [channel.get(name, 0) for name in ("depth", "in_flight_count", "client_count")]
def wait_for(expected):
    end = time.monotonic() + 30
    while (found := look()) != expected:
        assert time.monotonic() < end, f"expected {expected}, found {found}"
        time.sleep(0.05)
begun = time.monotonic()
for _ in range(5):
    urllib.request.urlopen(f"http://127.0.0.1:{PORT + 1}/pub?topic=mail", b"job").close()
first = consumer()
wait_for([0, 5, 1])
first.close()
wait_for([0, 5, 0])
time.sleep(5)
print("depth, in flight and clients, 5 s after the only consumer has gone:", gone := look())
second = consumer()
time.sleep(5)
print("with another one there, which is ready for five:", after := look())
assert time.monotonic() - begun > 60 or (gone, after) == ([0, 5, 0], [0, 5, 1]), "they are given back now"
PY
python3 "$dir/look.py" "$port"
