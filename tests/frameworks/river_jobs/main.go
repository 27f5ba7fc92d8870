// The side of River: river_jobs [worker SLOTS]. Lines of JSON as in side.py.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const queue = "jobs"

type args struct {
	ID int `json:"id"`
}

func (args) Kind() string { return "job" }

type worker struct {
	river.WorkerDefaults[args]
	books *redis.Client
}

func (w *worker) Work(_ context.Context, job *river.Job[args]) error {
	ctx := context.Background() // it goes on after its time-out
	entry := func(key string) {
		w.books.RPush(ctx, key, fmt.Sprintf("%d %.3f", job.Args.ID, float64(time.Now().UnixMilli())/1000))
	}
	entry("started")
	for w.books.Exists(ctx, "release").Val() == 0 {
		time.Sleep(20 * time.Millisecond)
	}
	entry("done")
	return nil
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	ctx := context.Background()
	pool := must(pgxpool.New(ctx, os.Getenv("JOBS_DATABASE")))
	driver := riverpgxv5.New(pool)
	if len(os.Args) > 1 {
		work(ctx, driver)
	} else {
		serve(ctx, pool, driver)
	}
}

func work(ctx context.Context, driver *riverpgxv5.Driver) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{books: redis.NewClient(must(redis.ParseURL(os.Getenv("JOBS_BOOKS"))))})
	slots := must(strconv.Atoi(os.Args[2]))
	client := must(river.NewClient(driver, &river.Config{
		Queues:               map[string]river.QueueConfig{queue: {MaxWorkers: slots}},
		Workers:              workers,
		FetchPollInterval:    200 * time.Millisecond,
		JobTimeout:           time.Second, // with none, jobs of dead clients stay as they are for ever
		RescueStuckJobsAfter: 2 * time.Second,
	}))
	if err := client.Start(ctx); err != nil {
		panic(err)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
	if err := client.Stop(ctx); err != nil {
		panic(err)
	}
}

func serve(ctx context.Context, pool *pgxpool.Pool, driver *riverpgxv5.Driver) {
	client := must(river.NewClient(driver, &river.Config{}))
	id := 0
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var call []json.RawMessage
		var name string
		var numbers []float64
		if json.Unmarshal(lines.Bytes(), &call) != nil || json.Unmarshal(call[0], &name) != nil {
			panic(lines.Text())
		}
		_ = json.Unmarshal(call[1], &numbers)
		switch name {
		case "create":
			must(must(rivermigrate.New[pgx.Tx](driver, nil)).Migrate(ctx, rivermigrate.DirectionUp, nil))
		case "enqueue":
			options := &river.InsertOpts{Queue: queue}
			if len(numbers) > 1 {
				options.ScheduledAt = time.Now().Add(time.Duration(numbers[1] * float64(time.Second)))
			}
			for range int(numbers[0]) {
				id++
				must(client.Insert(ctx, args{ID: id}, options))
			}
		case "pause":
			if err := client.QueuePause(ctx, queue, nil); err != nil {
				panic(err)
			}
		case "resume":
			if err := client.QueueResume(ctx, queue, nil); err != nil {
				panic(err)
			}
		case "purge":
			must(pool.Exec(ctx, "TRUNCATE river_job"))
		}
		fmt.Println("null")
	}
}
