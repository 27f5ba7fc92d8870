#!/usr/bin/env bash
# KEDA with RabbitMQ: the expected time until a queue is empty is 0 as soon as all workers are busy with long jobs.
#
# One would assume that the mode ExpectedQueueConsumptionTime, the messages divided by the rate at which workers take them, gets larger
# the slower they take them, and that a rate of 0 with a full queue is the largest, an error, or at least the last value.
# When no job has been taken for some seconds (RabbitMQ tells the rate over its last two samples, 5 s apart), the value is that of
# activationValue, which is 0 unless it is set: "active", and 0 seconds.
# With jobs that are longer than the time for which a scale-down is held back (five minutes by default) all workers but the least number
# are taken away in the middle of them, a thousand waiting or not; with shorter ones the value jumps between 0 and thousands of seconds.
# Use QueueLength. PublishedToDeliveredRatio does the same. Seen with KEDA v2.21.0 (pkg/scalers/rabbitmq_scaler.go), RabbitMQ 3.10.8.
# Needs rabbitmq-server, Go, and some minutes for the first build.
set -euo pipefail

dir=$(mktemp -d)
port=${PORT:-25440} pid=
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
import subprocess, pika, sys; port = int(sys.argv[1])
channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port)).channel()
channel.queue_declare("mail", durable=True)
for _ in range(2000):
    channel.basic_publish("", "mail", b"job")
url = f"http://guest:guest@127.0.0.1:{port + 3}/"
look = lambda: subprocess.check_output(["./look", url, "ExpectedQueueConsumptionTime"], text=True).split()
for _ in range(100):  # a worker takes four or five jobs a second
    channel.connection.sleep(0.2)
    channel.basic_get("mail", auto_ack=True)
short = look()
channel.connection.sleep(20)  # and then it has a long one
left, long = channel.queue_declare("mail", passive=True).method.message_count, look()
print("jobs of 0.2 s, two thousand:", short, "- then a long one, and", left, "wait:", long)
assert float(short[0]) > 100 and left == 1900 and long == ["0", "true", "<nil>"], "it is reckoned otherwise now"
PY
echo "KEDA ${keda##*@}, $(grep -o 'RabbitMQ [0-9.]*' log | head -1)"
"$dir/venv/bin/python" do.py "$port"
