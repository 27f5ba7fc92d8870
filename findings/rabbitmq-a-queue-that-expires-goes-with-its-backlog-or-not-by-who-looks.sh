#!/usr/bin/env bash
# RabbitMQ: a queue with an expiry and no worker is deleted with its jobs, although more come in, unless somebody looks by AMQP.
#
# One would assume that x-expires (`expires` in Kombu) deletes a queue that nobody uses, that jobs which are sent to it are a use,
# and that it makes no difference to a queue whether its length is read through the management's HTTP or by AMQP.
# Only consumers, a declaration and basic.get count (documented). So with zero workers the queue is gone after that time, the jobs that
# wait in it too, and each that is sent afterwards is dropped without an error. A passive declaration, by which the length is read over
# AMQP, puts the end of a classic queue off each time; one of a quorum queue does not (in this version); a look by HTTP never does.
# To an autoscaler that can go to zero: with a start that has to wait (a threshold, a schedule, a pause) the backlog is deleted, and the
# queue is "empty" or an error. And the same task that went well for years loses jobs when its scaler is changed from amqp to http, or
# the queue from classic to quorum. Give such a queue no expiry, or one that is longer than any time without workers.
# Seen with RabbitMQ 3.10.8 (Debian 12), pika 1.3.2. Needs rabbitmq-server.
set -euo pipefail

dir=$(mktemp -d) port=${PORT:-25510} pid=
trap '{ kill -9 -- -$pid; wait $pid; epmd -port $((port + 2)) -kill; } >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check pika==1.3.2
printf '%s\n' "listeners.tcp.default = 127.0.0.1:$port" "management.tcp.ip = 127.0.0.1" "management.tcp.port = $((port + 3))" >"$dir/rabbitmq.conf"
echo '[rabbitmq_management].' >"$dir/plugins"
export HOME="$dir" RABBITMQ_NODENAME="temp$port@localhost" RABBITMQ_DIST_PORT=$((port + 1)) RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$dir/plugins" RABBITMQ_MNESIA_BASE="$dir/data" RABBITMQ_LOG_BASE="$dir/logs" \
    RABBITMQ_PID_FILE="$dir/pid" ERL_EPMD_PORT=$((port + 2)) ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_RELAXED_COMMAND_CHECK=1 \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}"
cd "$dir"; setsid /usr/lib/rabbitmq/bin/rabbitmq-server >"$dir/log" 2>&1 &
pid=$!
until grep -q 'completed with' "$dir/log"; do kill -0 $pid; sleep 0.3; done
cat >"$dir/look.py" <<'PY'
import base64, json, sys, time, urllib.error, urllib.request, pika
port = int(sys.argv[1])
def amqp(name):
    link = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
    try:
        link.channel().queue_declare(name, passive=True)
        return "kept"
    except pika.exceptions.ChannelClosedByBroker as error:
        return {404: "gone"}[error.reply_code]
    finally:
        link.close()
def http(name):
    user = {"Authorization": "Basic " + base64.b64encode(b"guest:guest").decode()}
    try:
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port + 3}/api/queues/%2F/{name}", headers=user)).close()
        return "kept"
    except urllib.error.HTTPError as error:
        return {404: "gone"}[error.code]
channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port)).channel()
queues = {f"{kind}, seen by {look.__name__}": look for kind in ("classic", "quorum") for look in (amqp, http)}
for name in queues:
    channel.queue_declare(name, durable=True, arguments={"x-expires": 15000, "x-queue-type": name.split(",")[0]})
for _ in range(40):
    for name in queues:
        channel.basic_publish("", name, b"job")
    seen = {name: look(name.replace(" ", "%20") if look is http else name) for name, look in queues.items()}
    time.sleep(1)
print("no worker, an expiry of 15 s, a job and a look each second, after 40 s:", seen)
assert list(seen.values()) == ["kept", "gone", "gone", "gone"], "it is otherwise now"
PY
grep -o 'RabbitMQ [0-9.]*' "$dir/log" | head -1
"$dir/venv/bin/python" "$dir/look.py" "$port"
