#!/usr/bin/env bash
# RabbitMQ: jobs whose time is over count as ready, as long as one whose time is not over stands before them.
#
# One would assume that a message that has expired (`expiration`, which Celery's `expires` sets too) is gone from messages_ready, as
# with x-message-ttl of the whole queue, where one sees the number fall by the second.
# With a time of its own a message is dropped only when it comes to the head of the queue. One job without a time, or with a longer
# one, keeps all behind it in the queue and in every number, for as long as nobody takes it: hours later ten are "ready", and one
# is to be had. The first consumer takes that one, and the other nine are gone at once, without having been delivered.
# An autoscaler that starts from zero by the length, after a night without workers, starts ten workers for the one job; and while all
# workers are busy, what has expired behind the next job in line asks for more of them. Start one first, and then look again; or
# give the queue one time for all (x-message-ttl).
# Seen with RabbitMQ 3.10.8 (Debian 12), a classic queue; its page on TTL has it under "Caveats". pika 1.3.2. Needs rabbitmq-server.
set -euo pipefail

dir=$(mktemp -d)
port=${PORT:-25370}
pid=
clean() {
    { kill -9 -- -$pid; wait $pid; epmd -port $((port + 2)) -kill; } >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap clean EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check pika==1.3.2
echo "listeners.tcp.default = 127.0.0.1:$port" >"$dir/rabbitmq.conf"
echo '[].' >"$dir/plugins"
export HOME="$dir" RABBITMQ_NODENAME="temp$port@localhost" RABBITMQ_DIST_PORT=$((port + 1)) RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$dir/plugins" RABBITMQ_MNESIA_BASE="$dir/data" RABBITMQ_LOG_BASE="$dir/logs" \
    RABBITMQ_PID_FILE="$dir/pid" ERL_EPMD_PORT=$((port + 2)) ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_RELAXED_COMMAND_CHECK=1 \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}"
cd "$dir"; setsid /usr/lib/rabbitmq/bin/rabbitmq-server >"$dir/log" 2>&1 &
pid=$!
until grep -q 'completed with' "$dir/log"; do kill -0 $pid; sleep 0.3; done
cat >"$dir/look.py" <<'PY'
import sys
import time

import pika

channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1]))).channel()
ready = lambda queue: channel.queue_declare(queue, passive=True).method.message_count
channel.queue_declare("one by one")
channel.queue_declare("all alike", arguments={"x-message-ttl": 1000})
for queue, own in (("one by one", "1000"), ("all alike", None)):
    for job in range(10):
        channel.basic_publish("", queue, b"job", pika.BasicProperties(expiration=own if job else None))
time.sleep(5)
before = {queue: ready(queue) for queue in ("one by one", "all alike")}
print("ten jobs, nine of which were for one second, 4 s after that; ready:", before)
got = []
channel.basic_qos(prefetch_count=1)
channel.basic_consume("one by one", lambda *delivery: got.append(delivery))
channel.connection.process_data_events(3)
print("a consumer comes, and is given", len(got), "- ready:", after := ready("one by one"))
assert (before, len(got), after) == ({"one by one": 10, "all alike": 0}, 1, 0), "they are counted otherwise now"
PY
grep -o 'RabbitMQ [0-9.]*' "$dir/log" | head -1
"$dir/venv/bin/python" "$dir/look.py" "$port"
