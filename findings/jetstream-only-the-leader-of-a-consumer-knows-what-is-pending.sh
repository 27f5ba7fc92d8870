#!/usr/bin/env bash
# NATS JetStream: in a cluster, no option of /jsz leads to the server that knows a consumer's num_pending.
#
# One would assume that /jsz?leader-only=true, or stream-leader-only=true, answers with the numbers that count, and that
# leader_only=true, as the field is spelt in the reference of the same request over NATS, means the same or is refused.
# leader_only is ignored, and every server answers. leader-only is the leader of the cluster's metadata, stream-leader-only
# that of the stream. A consumer has a leader of its own, mostly another server, and those that follow say num_pending 0
# (after a change of leaders, an old number), in the same field and with the same status.
# An autoscaler that looks at the monitoring of one server, or of either leader, reads 0 while jobs wait, and takes the
# workers away. Of all servers only that one counts which is not among `replicas` of the consumer's own `cluster`.
# Seen with nats-server 2.12.2 (server/monitor.go: HandleJsz, accountDetail).
set -euo pipefail

dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
export GOPATH="$dir/go" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir "$dir/src" "$dir/bin"
printf 'module temp\ngo 1.24\nrequire github.com/nats-io/nats-server/v2 v2.12.2\n' >"$dir/src/go.mod"
(cd "$dir/src" && go build -o "$dir/bin/" github.com/nats-io/nats-server/v2) 2>"$dir/log" || { cat "$dir/log"; exit 1; }
python3 -m venv "$dir/venv" && "$dir/venv/bin/pip" install -q --disable-pip-version-check nats-py==2.16.0
port=${PORT:-41700}
for i in 0 1 2; do
    "$dir/bin/nats-server" -a 127.0.0.1 -p $((port + i)) -m $((port + 10 + i)) -js -sd "$dir/$i" -n "n$i" --cluster_name c \
        --cluster "nats://127.0.0.1:$((port + 20 + i))" --routes "nats://127.0.0.1:$((port + 20)),nats://127.0.0.1:$((port + 21))" \
        2>"$dir/log$i" &
done
"$dir/bin/nats-server" --version
cat >"$dir/look.py" <<'PY'
import asyncio, json, sys, urllib.request
import nats
async def retried(make):
    while True:
        try:
            return await make()
        except Exception:
            await asyncio.sleep(0.3)
def pending(port, option):
    answer = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/jsz?acc=$G&consumers=true&{option}"))
    streams = [stream for account in answer["account_details"] for stream in account.get("stream_detail") or ()]
    return [one["num_pending"] for stream in streams for one in stream.get("consumer_detail") or ()]
async def main(port):
    client = await retried(lambda: nats.connect(f"nats://127.0.0.1:{port}"))
    jobs = client.jetstream()
    stream = await retried(lambda: jobs.add_stream(name="MAIL", subjects=["mail"], num_replicas=3))
    about = await retried(lambda: jobs.add_consumer("MAIL", durable_name="worker", ack_policy="explicit"))
    while about.cluster.leader in (None, stream.cluster.leader):
        await client.request("$JS.API.CONSUMER.LEADER.STEPDOWN.MAIL.worker", b"", timeout=5)
        await asyncio.sleep(2)
        about = await retried(lambda: jobs.consumer_info("MAIL", "worker"))
    for _ in range(20):
        await retried(lambda: jobs.publish("mail", b"job"))
    await asyncio.sleep(2)
    print(f"20 jobs; the stream is led by {stream.cluster.leader}, its consumer by {about.cluster.leader}")
    seen = {o: [pending(port + 10 + i, o) for i in range(3)] for o in ("x=1", "leader_only=true", "stream-leader-only=true")}
    print(*(f"/jsz?consumers=true&{option}: n0, n1 and n2 say {found}" for option, found in seen.items()), sep="\n")
    assert seen["x=1"].count([20]) == 1 and seen["x=1"].count([0]) == 2, "those that follow say something else now"
    assert seen["leader_only=true"] == seen["x=1"] and [20] not in seen["stream-leader-only=true"], "an option helps now"
asyncio.run(main(int(sys.argv[1])))
PY
"$dir/venv/bin/python" "$dir/look.py" "$port"
