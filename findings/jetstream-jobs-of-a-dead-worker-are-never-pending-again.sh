#!/usr/bin/env bash
# NATS JetStream: what a dead worker had is never pending again, and once its deliveries are used up it is in no number.
#
# One would assume that messages which nobody acknowledged within ack_wait count in num_pending again: they are jobs that
# may run now; or, when max_deliver is used up, that they leave the stream of a work queue.
# Nothing is moved when the time is over, only when somebody fetches: until then they stay in num_ack_pending, as if a
# worker had them. After the last delivery the fetch that finds nothing drops them from there too: both numbers are 0, the
# messages stay in the stream, and no worker ever gets them.
# An autoscaler that goes by num_pending never starts a worker for the jobs of the last one that was killed; one that adds
# num_ack_pending must start one; one that goes by the stream's `messages` keeps workers for ever for what none can have.
# Seen with nats-server 2.12.2 (server/consumer.go), nats-py 2.16.0.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "${pid:-}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
export GOPATH="$dir/go" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir "$dir/src" "$dir/bin"
printf 'module temp\ngo 1.24\nrequire github.com/nats-io/nats-server/v2 v2.12.2\n' >"$dir/src/go.mod"
cd "$dir/src"
go build -o "$dir/bin/" github.com/nats-io/nats-server/v2 2>"$dir/log" || { cat "$dir/log"; exit 1; }
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check nats-py==2.16.0
"$dir/bin/nats-server" --addr 127.0.0.1 --port -1 --jetstream --store_dir "$dir" --ports_file_dir "$dir" 2>"$dir/log" &
pid=$!
until ls "$dir"/nats-server_*.ports >/dev/null 2>&1; do sleep 0.1; done
cat >"$dir/look.py" <<'PY'
import asyncio
import sys

import nats
from nats.js.api import ConsumerConfig, RetentionPolicy


async def main(url):
    client = await nats.connect(url)
    jobs = client.jetstream()
    await jobs.add_stream(name="MAIL", subjects=["mail"], retention=RetentionPolicy.WORK_QUEUE)
    await jobs.add_consumer("MAIL", ConsumerConfig(durable_name="worker", ack_policy="explicit", ack_wait=1, max_deliver=2))
    for _ in range(3):
        await jobs.publish("mail", b"job")

    async def worker():
        own = await nats.connect(url)
        pulled = await own.jetstream().pull_subscribe_bind("worker", stream="MAIL")
        got = await asyncio.gather(pulled.fetch(3, timeout=2), return_exceptions=True)
        await own.close()
        return 0 if isinstance(got[0], nats.errors.TimeoutError) else len(got[0])

    seen = []
    for _ in range(3):
        got, _, about = await worker(), await asyncio.sleep(4), await jobs.consumer_info("MAIL", "worker")
        seen.append((got, about.num_pending, about.num_ack_pending, (await jobs.stream_info("MAIL")).state.messages))
        print("a worker got %d and died, 4 s later: num_pending %d, num_ack_pending %d, messages %d" % seen[-1])
    assert seen == [(3, 0, 3, 3), (3, 0, 3, 3), (0, 0, 0, 3)], "they are counted otherwise now"


asyncio.run(main(sys.argv[1]))
PY
"$dir/bin/nats-server" --version
"$dir/venv/bin/python" "$dir/look.py" "$(grep -o 'nats://[^"]*' "$dir"/nats-server_*.ports)"
