#!/usr/bin/env bash
# pynsq: with two nsqd and max_in_flight=1, the default, an idle worker takes jobs from one of them only, for ten seconds and more.
#
# One would assume that a worker that is connected to two nsqd, and has nothing to do, gets a job from whichever has one, and that
# max_in_flight is the number of jobs that it may have at a time.
# It is the number of connections that may send one, too: with fewer than there are nsqd the others get RDY 0, and the turn passes
# on only when the one whose turn it is has been silent for ten seconds (low_rdy_idle_timeout; looked at each 5 s). Three jobs at
# the one are done at once, and three at the other wait for the timer, by an idle worker.
# An autoscaler that adds up the depth of all nsqd sees jobs wait beside workers with nothing to do, starts more of them, and never
# sees an empty queue. Let max_in_flight be at least the number of nsqd, and take jobs one by one in the program.
# Seen with pynsq 0.9.1 (nsq/reader.py, _redistribute_rdy_state), nsqd v1.3.0. Needs Go and curl.
set -euo pipefail

dir=$(mktemp -d)
pids=()
trap '{ kill "${pids[@]}"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check pynsq==0.9.1 tornado==6.5.2
export GOPATH="$dir/go" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir "$dir/src" "$dir/bin" "$dir/0" "$dir/1"
cat >"$dir/src/go.mod" <<'MOD'
module temp
go 1.17
require github.com/nsqio/nsq v1.3.0
replace github.com/judwhite/go-svc => github.com/mreiferson/go-svc v1.2.2-0.20210815184239-7a96e00010f6
MOD
(cd "$dir/src" && go build -o "$dir/bin/nsqd" github.com/nsqio/nsq/apps/nsqd) 2>"$dir/log" || { cat "$dir/log"; exit 1; }
port=${PORT:-28670}
for i in 0 1; do
    "$dir/bin/nsqd" -data-path "$dir/$i" -tcp-address "127.0.0.1:$((port + i))" -http-address "127.0.0.1:$((port + 10 + i))" 2>"$dir/log" &
    pids+=($!)
    until curl -sf "http://127.0.0.1:$((port + 10 + i))/ping" >/dev/null; do sleep 0.1; done
done
cat >"$dir/look.py" <<'PY'
import sys, time, urllib.request
import nsq
from tornado.ioloop import IOLoop, PeriodicCallback
PORT, SHARE, done = int(sys.argv[1]), int(sys.argv[2]), {}
def work(message):
    done.setdefault(message.body, []).append(time.monotonic())
    return True
def publish():
    for _ in range(3):
        for name, port in ((b"first", PORT + 10), (b"second", PORT + 11)):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/pub?topic=mail", name).close()
def look():
    if sum(map(len, done.values())) == 6:
        IOLoop.current().stop()
nsqds = [f"127.0.0.1:{PORT}", f"127.0.0.1:{PORT + 1}"]
reader = nsq.Reader("mail", "worker", message_handler=work, nsqd_tcp_addresses=nsqds, max_in_flight=SHARE)
IOLoop.current().call_later(5, publish)
PeriodicCallback(look, 200).start()
IOLoop.current().start()
ends = sorted(max(times) for times in done.values())
print(f"pynsq {nsq.__version__}, max_in_flight={SHARE}: 3 jobs of one nsqd were done {ends[1] - ends[0]:.1f} s after the 3 of the other")
sys.exit("they take turns otherwise now" if (ends[1] - ends[0] > 4) != (SHARE == 1) else 0)
PY
for share in 1 2; do "$dir/venv/bin/python" "$dir/look.py" "$port" $share; done
