#!/usr/bin/env bash
# RabbitMQ: in its own /metrics, rabbitmq_queue_consumer_utilisation is the sum over all queues, not a share.
#
# One would assume that a utilisation is between 0 and 1, as its documentation has it ("the proportion of time that the queue could
# deliver immediately to consumers"), and that the one number which /metrics gives by default is an average, or the lowest.
# /metrics adds up over all queues of the node whatever it has, and this one too: with a single queue, where one tries it, it is from 0
# to 1; with five queues it is 4 while one of them has consumers that are all busy, and 5 at best. A queue without consumers adds 0.
# An autoscaler, or an alert, that adds consumers while it is below 0.9 never does so once there are two more queues that are served
# in time, and among many empty queues the worst one is not to be seen. Take that of one queue from /metrics/per-object, where it is
# a share (also as rabbitmq_queue_consumer_capacity).
# Seen with RabbitMQ 3.10.8 (Debian 12; rabbitmq_prometheus), pika 1.3.2. Needs rabbitmq-server.
set -euo pipefail

dir=$(mktemp -d)
port=${PORT:-25390}
pid=
clean() {
    { kill -9 -- -$pid; wait $pid; epmd -port $((port + 2)) -kill; } >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap clean EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check pika==1.3.2
printf "%s\n" "listeners.tcp.default = 127.0.0.1:$port" "prometheus.tcp.ip = 127.0.0.1" "prometheus.tcp.port = $((port + 3))" >"$dir/rabbitmq.conf"
echo "[rabbitmq_prometheus]." >"$dir/plugins"
export HOME="$dir" RABBITMQ_NODENAME="temp$port@localhost" RABBITMQ_DIST_PORT=$((port + 1)) RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$dir/plugins" RABBITMQ_MNESIA_BASE="$dir/data" RABBITMQ_LOG_BASE="$dir/logs" \
    RABBITMQ_PID_FILE="$dir/pid" ERL_EPMD_PORT=$((port + 2)) ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_RELAXED_COMMAND_CHECK=1 \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}"
cd "$dir"; setsid /usr/lib/rabbitmq/bin/rabbitmq-server >"$dir/log" 2>&1 &
pid=$!
until grep -q 'completed with' "$dir/log"; do kill -0 $pid; sleep 0.3; done
cat >"$dir/look.py" <<'PY'
import sys, urllib.request
import pika

channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1]))).channel()


def shares(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{int(sys.argv[1]) + 3}{path}") as answer:
        lines = [line for line in answer.read().decode().splitlines() if line.startswith("rabbitmq_queue_consumer_utilisation")]
    return [float(line.split()[-1]) for line in lines]


channel.basic_qos(prefetch_count=1)
for queue in range(5):
    channel.queue_declare(f"mail {queue}", durable=True)
    channel.basic_consume(f"mail {queue}", lambda *delivery: None)
for _ in range(20):  # nobody acknowledges: the one consumer of this queue is busy from now on
    channel.basic_publish("", "mail 0", b"job")
for _ in range(6):
    channel.connection.process_data_events(5)
each, told = shares("/metrics/per-object"), shares("/metrics")
print("five queues, one with 19 jobs that wait and a busy consumer; each:", sorted(each), "- in /metrics:", told)
assert len(each) == 5 and min(each) < 0.9 and len(told) == 1 and told[0] > 3.9, "it is a share now"
PY
grep -o 'RabbitMQ [0-9.]*' "$dir/log" | head -1
"$dir/venv/bin/python" "$dir/look.py" "$port"
