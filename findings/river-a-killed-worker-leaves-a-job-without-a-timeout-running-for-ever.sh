#!/usr/bin/env bash
# River: the job of a killed worker is `running` for ever, and never tried again, if its kind has no timeout.
#
# One would assume that a job which runs for hours gets a Timeout() of -1, as the documentation has it for "no timeout", and that what a
# killed worker had is found all the same: RescueStuckJobsAfter (an hour) is there for that, by its comment for any that is stuck.
# The rescuer reckons from when a job must have ended. One that may run for any time can't be stuck, so it is left alone: no later
# worker, no restart, nothing but a hand in the database ends it. (Until it is over its own unique jobs can't be added either.)
# To an autoscaler the row is a job in progress: a count of available and running never gets to 0, so the last worker is never stopped,
# or a drain waits for a job that nobody runs; and the job is lost without a failure, an attempt or a line in a log. It is the long jobs
# that get no timeout, and those are the ones a scale-down cuts off. Give each a timeout it never reaches, a week, and RescueStuckJobsAfter.
# Seen with River v0.51.2 (internal/maintenance/job_rescuer.go, makeRetryDecision), SQLite. Needs Go.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export GOPATH="$dir/go" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir "$dir/src"; cd "$dir/src"
printf '%s\n' 'module temp' 'go 1.24' 'require github.com/riverqueue/river v0.51.2' \
    'require github.com/riverqueue/river/riverdriver/riversqlite v0.51.2' 'require modernc.org/sqlite v1.38.2' >go.mod
cat >main.go <<'GO'
package main
import ( "context"; "database/sql"; "fmt"; "log/slog"; "os"; "syscall"; "time"
	"github.com/riverqueue/river"; "github.com/riverqueue/river/riverdriver/riversqlite"; "github.com/riverqueue/river/rivermigrate"
	_ "modernc.org/sqlite" )
type Limited struct{}; type Endless struct{}
func (Limited) Kind() string { return "limited" }
func (Endless) Kind() string { return "endless" }
var begun = make(chan string, 10)
type worker[T river.JobArgs] struct { river.WorkerDefaults[T]; timeout time.Duration }
func (w *worker[T]) Timeout(*river.Job[T]) time.Duration { return w.timeout }
func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error { begun <- job.Kind; <-ctx.Done(); return ctx.Err() }
func main() {
	ctx, workers := context.Background(), river.NewWorkers()
	db, _ := sql.Open("sqlite", os.Args[1])
	db.SetMaxOpenConns(1)
	river.AddWorker(workers, &worker[Limited]{timeout: 20 * time.Second})
	river.AddWorker(workers, &worker[Endless]{timeout: -1})
	migrator, _ := rivermigrate.New(riversqlite.New(db), nil)
	migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	client, _ := river.NewClient(riversqlite.New(db), &river.Config{Queues: map[string]river.QueueConfig{"default": {MaxWorkers: 4}}, Workers: workers,
		JobTimeout: 20 * time.Second, RescueStuckJobsAfter: 20 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	client.Start(ctx)
	if os.Args[2] == "first" {
		client.Insert(ctx, Limited{}, nil)
		client.Insert(ctx, Endless{}, nil)
		fmt.Println("the first worker has begun", <-begun, "and", <-begun, "and is killed")
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	select { case kind := <-begun: fmt.Println("the second worker has begun", kind); case <-time.After(5 * time.Minute): }
	time.Sleep(100 * time.Second) // the rescuer comes each 30 s
	var state string; var attempt int
	db.QueryRow("SELECT state, attempt FROM river_job WHERE kind = 'endless'").Scan(&state, &attempt)
	fmt.Println("100 s later the endless one is", state, "at attempt", attempt)
	if len(begun) > 0 && <-begun == "endless" || state != "running" || attempt != 1 { fmt.Println("it is rescued now"); os.Exit(1) }
}
GO
go build -o ../look . 2>log || { cat log; exit 1; }
echo 'River v0.51.2'
{ ../look "$dir/jobs.sqlite" first || true; } 2>/dev/null
../look "$dir/jobs.sqlite" second
