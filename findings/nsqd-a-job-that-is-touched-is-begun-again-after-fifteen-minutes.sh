#!/usr/bin/env bash
# nsqd: a job of more than fifteen minutes is begun once more while its worker is at it, however often it is touched.
#
# One would assume that TOUCH gives a worker another --msg-timeout (a minute) from now on, each time, and that it fails if it does not:
# so a worker that touches its job every half a minute keeps it for as long as it takes.
# It never goes past --max-msg-timeout (fifteen minutes) after the delivery, and says nothing: the touches up to then succeed, and then
# the message goes out again, to any worker, with one attempt more. If to another, the first one's touches fail from then on, and its FIN.
# For an autoscaler: in_flight goes down and depth up as if a worker had died, another is started and does the job once more, from its
# start, and after max_attempts such rounds clients throw it away though nobody failed. A stopped worker that is given half an hour to
# end its job (a grace) does it for nothing. Start nsqd with a --max-msg-timeout longer than any job. Here it is made 20 s.
# Seen with nsqd v1.3.0 (nsqd/channel.go, TouchMessage), pynsq 0.9.1. Needs Go and curl.
set -euo pipefail

dir=$(mktemp -d) pid=
trap 'kill "$pid" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check pynsq==0.9.1 tornado==6.5.2
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
"$dir/bin/nsqd" -data-path "$dir/data" -tcp-address "127.0.0.1:$port" -http-address "127.0.0.1:$((port + 1))" \
    -msg-timeout 10s -max-msg-timeout 20s 2>"$dir/log" & pid=$!
until curl -sf "http://127.0.0.1:$((port + 1))/ping" >/dev/null; do sleep 0.1; done
cat >"$dir/look.py" <<'PY'
import asyncio, logging, re, sys, time, nsq
errors = []
log = type("Log", (logging.Handler,), {"emit": lambda _, one: errors.extend(re.findall("E_[A-Z]+_FAILED", one.getMessage()))})
logging.basicConfig(level=logging.ERROR, handlers=[log()])
def worker(name):
    async def work(message):
        message.enable_async()
        begun.append((name, message.attempts))
        print(f"{time.monotonic() - since:2.0f} s: {name} begins the job, attempt {message.attempts}, failed so far: {errors}")
        for _ in range(12):
            await asyncio.sleep(3)
            if not done.is_set():
                message.touch()
        message.finish()
        done.set()
    return nsq.Reader("mail", "worker", nsqd_tcp_addresses=[sys.argv[1]], message_handler=lambda one: tasks.append(asyncio.ensure_future(work(one))))
async def main():
    global done
    done, _ = asyncio.Event(), [worker("worker A"), worker("worker B")]
    await asyncio.wait_for(done.wait(), 120)
    await asyncio.sleep(3)
    print("the one that began it first has touched it each 3 s and is done after 36 s:", *errors)
    assert [attempt for _, attempt in begun[:2]] == [1, 2], "it keeps the job now"
since, begun, tasks = time.monotonic(), [], []
asyncio.run(main())
PY
curl -sf -d job "http://127.0.0.1:$((port + 1))/pub?topic=mail" >/dev/null
"$dir/bin/nsqd" -version
"$dir/venv/bin/python" "$dir/look.py" "127.0.0.1:$port"
