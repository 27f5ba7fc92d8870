#!/usr/bin/env bash
# RabbitMQ, quorum queues: each consumer that is stopped uses up one delivery of every job it had prefetched, begun or not.
#
# One would assume that the delivery limit of a queue counts tries: that a job which fails every time is thrown away after so many,
# and that one which only lay in the buffer of a consumer that was stopped in good order is as good as new.
# What counts is each time a message comes back, by the close of its channel too. With a limit of 3 and a prefetch of 20, four
# consumers that are stopped one after the other, without having begun any of the twenty, and the queue is empty: the jobs are
# dropped, or go to the dead letters if there is an exchange for them. From RabbitMQ 4.0 on every quorum queue has a limit of 20.
# An autoscaler stops consumers again and again while a backlog lasts; the jobs at the head of the queue, which every new consumer
# prefetches first, are the first to go, and the queue gets shorter as if they were done. Give such queues a dead letter exchange,
# and a prefetch of what a consumer really runs.
# Seen with RabbitMQ 3.10.8 (Debian 12; rabbit_fifo.erl), pika 1.3.2. Needs rabbitmq-server.
set -euo pipefail

dir=$(mktemp -d)
port=${PORT:-25310}
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
import sys, time, pika
def connect():
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1])))
def ready():
    time.sleep(2)
    return channel.queue_declare("mail", passive=True).method.message_count
channel = connect().channel()
channel.queue_declare("mail", durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 3})
channel.confirm_delivery()
for _ in range(20):
    channel.basic_publish("", "mail", b"job")
seen = [ready()]
for _ in range(4):
    worker, got = connect(), []
    its = worker.channel()
    its.basic_qos(prefetch_count=20)
    its.basic_consume("mail", lambda *delivery: got.append(delivery))
    while len(got) < 20:
        worker.process_data_events(1)
    worker.close()
    seen.append(ready())
print("jobs that are ready, at first and after each of four workers that were stopped before they began one:", seen)
assert seen == [20, 20, 20, 20, 0], "they are kept now"
PY
grep -o 'RabbitMQ [0-9.]*' "$dir/log" | head -1
"$dir/venv/bin/python" "$dir/look.py" "$port"
