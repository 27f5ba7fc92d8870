#!/usr/bin/env bash
# KEDA with RabbitMQ: the scheme of the URL decides whether jobs in progress count: by amqp they are nothing, by http backlog.
#
# One would assume that the length of one queue is one number, by whichever protocol KEDA asks for it, and that the option for leaving out
# what is in progress (excludeUnacknowledged, false unless it is set) holds for both.
# By http it is ready and unacknowledged ones; by amqp a passive declare, which knows the ready ones only, and the option is refused
# there. With three jobs that three workers are busy with: 3, active, by http; 0, not active, by amqp.
# By amqp all three workers are taken away in the middle of their jobs (after the cooldown, five minutes), which go back into the
# queue, start workers again, and go on so if they are longer than that. And the same trigger, moved from the one URL to the other,
# has another number of workers. Use http where jobs are long. Seen with KEDA v2.21.0 (pkg/scalers/rabbitmq_scaler.go,
# getQueueStatus), RabbitMQ 3.10.8. Needs rabbitmq-server, Go, and some minutes for the first build.
set -euo pipefail

dir=$(mktemp -d)
port=${PORT:-25430} pid=
trap '{ kill -9 -- -$pid; wait $pid; epmd -port $((port + 2)) -kill; } >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv" && "$dir/venv/bin/pip" install -q --disable-pip-version-check pika==1.3.2
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir -p "$dir/src/scalers" && cd "$dir/src"
printf 'module temp\ngo 1.26\nrequire github.com/kedacore/keda/v2 v2.21.0\n' >go.mod
keda=$(go mod download -json github.com/kedacore/keda/v2@v2.21.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp "$keda"/pkg/scalers/{scaler,rabbitmq_scaler}.go scalers
printf 'package scalers\nconst externalMetricType, stringEnable, stringDisable = "External", "enable", "disable"\n' >scalers/others.go
cat >main.go <<'GO'
package main; import ("context"; "fmt"; "os"; "github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"; "temp/scalers")
func main() {
	of := map[string]string{"queueName": "mail", "host": os.Args[1], "mode": os.Args[2], "value": "20"}
	scaler, _ := scalers.NewRabbitMQScaler(&scalersconfig.ScalerConfig{TriggerMetadata: of})
	values, active, err := scaler.GetMetricsAndActivity(context.Background(), "mail")
	fmt.Println(values[0].Value.AsApproximateFloat64(), active, err)
}
GO
go build -o ../look . 2>log || { tail log; exit 1; }
printf '%s\n' "listeners.tcp.default = 127.0.0.1:$port" management.tcp.{ip=127.0.0.1,port=$((port + 3))} >../rabbitmq.conf
echo '[rabbitmq_management].' >../plugins
export HOME="$dir" RABBITMQ_NODENAME="temp$port@localhost" RABBITMQ_DIST_PORT=$((port + 1)) RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$dir/plugins" RABBITMQ_MNESIA_BASE="$dir/data" RABBITMQ_LOG_BASE="$dir/logs" \
    RABBITMQ_PID_FILE="$dir/pid" ERL_EPMD_PORT=$((port + 2)) ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_RELAXED_COMMAND_CHECK=1 \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}"
cd "$dir"; setsid /usr/lib/rabbitmq/bin/rabbitmq-server >log 2>&1 & pid=$!
until grep -q 'completed with' log 2>/dev/null; do kill -0 $pid; sleep 0.3; done
cat >do.py <<'PY'
import subprocess, sys, pika
port = int(sys.argv[1])
connections = [pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port)) for _ in range(3)]
for connection in connections:
    channel = connection.channel()
    channel.queue_declare("mail", durable=True)
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume("mail", lambda *delivery: None)  # the worker works on it
    channel.basic_publish("", "mail", b"job")
for turn in range(30):
    connections[turn % 3].process_data_events(0.3)
urls = f"amqp://guest:guest@127.0.0.1:{port}/", f"http://guest:guest@127.0.0.1:{port + 3}/"
seen = [subprocess.check_output(["./look", url, "QueueLength"], text=True).strip() for url in urls]
print("three workers, each with a job, and nothing waits; amqp:", seen[0], "- http:", seen[1])
assert seen == ["0 false <nil>", "3 true <nil>"], "they are the same now"
PY
echo "KEDA ${keda##*@}, $(grep -o 'RabbitMQ [0-9.]*' log | head -1)"
"$dir/venv/bin/python" do.py "$port"
