#!/usr/bin/env bash
# nats.go: the first worker that calls Consume() takes 500 jobs at once, and those which wait in it for 30 s run twice.
#
# One would assume that Consume(), the recommended way, takes a job when the handler is through with the last one, and that ack_wait
# (30 s by default) is the time for one job, from when the handler gets it.
# It asks for 500 messages ahead (PullMaxMessages), and ack_wait runs from when the server sent them. A second worker, started for the
# backlog, has nothing to do until that time is over; then it is given all that lies in the first one's buffer, and both do it:
# nothing takes a job out of the buffer, and its late acknowledgement is no error.
# num_pending is 0 all the while, so an autoscaler by it sees no backlog and stops workers; one that counts num_ack_pending starts more,
# and they do the work once more. For jobs of seconds use PullMaxMessages(1), or an ack_wait that is longer than 500 of them take.
# Seen with nats.go v1.55.0 (jetstream/pull.go: DefaultMaxMessages), nats-server v2.12.2; ack_wait is 6 s here. Needs Go.
set -euo pipefail

dir=$(mktemp -d) pid=
trap '{ kill $pid; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0 nats=github.com/nats-io
mkdir "$dir/src" && cd "$dir/src"
printf '%s\n' 'module temp' 'go 1.25' "require $nats/nats.go v1.55.0" "require $nats/nats-server/v2 v2.12.2" >go.mod
cat >main.go <<'GO'
package main
import ("context"; "fmt"; "os"; "strconv"; "sync"; "time"; "github.com/nats-io/nats.go"; "github.com/nats-io/nats.go/jetstream")
func main() {
	everything, mutex, runs := context.Background(), sync.Mutex{}, map[string]map[int]int{"all": {}, "one": {}}
	for name, options := range map[string][]jetstream.PullConsumeOpt{"all": nil, "one": {jetstream.PullMaxMessages(1)}} {
		first, _ := nats.Connect(os.Args[1])
		js, _ := jetstream.New(first)
		js.CreateStream(everything, jetstream.StreamConfig{Name: name, Subjects: []string{name}, Retention: jetstream.WorkQueuePolicy})
		consumer, _ := js.CreateConsumer(everything, name, jetstream.ConsumerConfig{Durable: "worker", AckWait: 6 * time.Second})
		for job := range 24 { js.Publish(everything, name, fmt.Append(nil, job)) }
		work := func(message jetstream.Msg) { // each takes half a second
			job, _ := strconv.Atoi(string(message.Data()))
			time.Sleep(500 * time.Millisecond)
			mutex.Lock(); runs[name][job]++; mutex.Unlock()
			message.Ack()
		}
		consumer.Consume(work, options...)
		time.Sleep(2 * time.Second)
		about, _ := consumer.Info(everything)
		second, _ := nats.Connect(os.Args[1]) // the second worker
		its, _ := jetstream.New(second)
		other, _ := its.Consumer(everything, name, "worker")
		other.Consume(work, options...)
		time.Sleep(24 * time.Second)
		mutex.Lock()
		twice := 0
		for _, count := range runs[name] { if count > 1 { twice++ } }
		fmt.Println(name, "ahead: num_pending", about.NumPending, "after 2 s; jobs done", len(runs[name]), "and twice:", twice)
		if len(runs[name]) != 24 || (twice > 3) != (name == "all") || (about.NumPending == 0) != (name == "all") {
			panic("it takes them otherwise now")
		}
		mutex.Unlock()
	}
}
GO
go build -o ../look . 2>log && go build -o .. $nats/nats-server/v2 2>log || { cat log; exit 1; }
cd "$dir"
./nats-server --addr 127.0.0.1 --port -1 --jetstream --store_dir "$dir" --ports_file_dir "$dir" 2>log & pid=$!
until ls nats-server_*.ports >/dev/null 2>&1; do sleep 0.1; done
./nats-server --version
./look "$(grep -o 'nats://[^"]*' nats-server_*.ports)"
