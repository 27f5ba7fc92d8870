#!/usr/bin/env bash
# Celery with quorum queues of RabbitMQ: a job for later that is sent before the first worker has run is lost, without an error.
#
# One would assume that apply_async(countdown=5) puts the job somewhere, worker or not, as it does for a job without a time (its
# queue is declared by whoever sends), and as it is on a classic queue and on Redis.
# With quorum queues, and the topic exchange that its page on them asks for, a job for later goes through exchanges (celery_delayed_27
# to _0) that only a worker declares, at its start. Where none has ever run RabbitMQ drops the message, and closes the channel later;
# the call has given an id back, and the job is never run. The next one without a time is in its queue, and is done.
# Who begins at zero workers, and has an autoscaler start the first by the length of the queue, loses each job with a countdown or an
# eta until then; so it is after a move to a new broker or virtual host. Let one worker run once, or call
# kombu's declare_native_delayed_delivery_exchanges_and_queues (and bind the queues) at the deployment.
# Seen with celery 5.7.0 (celery/app/base.py: send_task), kombu 5.7.0, RabbitMQ 3.10.8 (Debian 12). Needs rabbitmq-server.
set -euo pipefail

dir=$(mktemp -d)
port=${PORT:-25330}
pids=()
clean() {
    { for pid in "${pids[@]}"; do kill -9 -- -$pid; wait $pid; done; epmd -port $((port + 2)) -kill; } >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap clean EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check celery==5.7.0 kombu==5.7.0
echo "listeners.tcp.default = 127.0.0.1:$port" >"$dir/rabbitmq.conf"
echo '[].' >"$dir/plugins"
export HOME="$dir" RABBITMQ_NODENAME="temp$port@localhost" RABBITMQ_DIST_PORT=$((port + 1)) RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$dir/plugins" RABBITMQ_MNESIA_BASE="$dir/data" RABBITMQ_LOG_BASE="$dir/logs" \
    RABBITMQ_PID_FILE="$dir/pid" ERL_EPMD_PORT=$((port + 2)) ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_RELAXED_COMMAND_CHECK=1 \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}"
cd "$dir"
setsid /usr/lib/rabbitmq/bin/rabbitmq-server >"$dir/log" 2>&1 &
pids+=($!)
until grep -qs 'completed with' log; do kill -0 "${pids[0]}"; sleep 0.3; done
cat >app.py <<PY
from celery import Celery
from kombu import Exchange, Queue
app = Celery("app", broker="amqp://guest:guest@127.0.0.1:$port//")
app.conf.task_queues = [Queue("mail", Exchange("mail", type="topic"), "mail", queue_arguments={"x-queue-type": "quorum"})]
app.conf.task_default_queue = app.conf.task_default_exchange = app.conf.task_default_routing_key = "mail"
app.conf.task_default_exchange_type = "topic"
@app.task(name="work")
def work(job):
    print("did", job, file=open("journal", "a"))
PY
touch journal
send() { venv/bin/python -c "import app; print('sent $1, id', app.work.apply_async(['$1'], $2).id[:8])"; }
wait_for() { for _ in $(seq 200); do ! grep -q "$1" journal || return 0; sleep 0.2; done; }
grep -o 'RabbitMQ [0-9.]*' log | head -1
venv/bin/pip list 2>/dev/null | grep -E '^(celery|kombu) '
send first-later countdown=5
send first-now countdown=None
setsid venv/bin/celery -A app worker --concurrency 1 >worker.log 2>&1 &
pids+=($!)
wait_for first-now
send second-later countdown=5
wait_for second-later
sleep 10
echo "a worker came after the first two, and did: $(sed 's/did //' journal | tr '\n' ' ')"
[ "$(sort journal | tr '\n' ' ')" = "did first-now did second-later " ] || { echo "none is lost now"; exit 1; }
