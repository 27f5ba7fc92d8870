// The side of asynq, and its worker: asynq-jobs [worker]. Lines of JSON as in side.py. `make test-sources` builds it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const queue = "jobs"

var (
	address = parsed(asynq.ParseRedisURI(os.Getenv("JOBS_REDIS")))
	ids     = 0
)

func parsed[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// A job writes its start and its end into the books.
func work(books *redis.Client) asynq.HandlerFunc {
	return func(ctx context.Context, task *asynq.Task) error {
		entry := func() string { return fmt.Sprintf("%s %.3f", task.Payload(), float64(time.Now().UnixMilli())/1000) }
		books.RPush(ctx, "started", entry())
		for books.Exists(ctx, "release").Val() == 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			time.Sleep(20 * time.Millisecond)
		}
		return books.RPush(ctx, "done", entry()).Err()
	}
}

func worker() {
	books := redis.NewClient(parsed(redis.ParseURL(os.Getenv("JOBS_BOOKS"))))
	server := asynq.NewServer(address, asynq.Config{
		Concurrency:              2,
		Queues:                   map[string]int{queue: 1},
		LogLevel:                 asynq.InfoLevel,
		ShutdownTimeout:          time.Second,
		DelayedTaskCheckInterval: time.Second,
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return time.Second },
		GroupGracePeriod:         time.Second,
		GroupAggregator: asynq.GroupAggregatorFunc(func(_ string, tasks []*asynq.Task) *asynq.Task {
			return asynq.NewTask("job", tasks[0].Payload())
		}),
	})
	if err := server.Run(work(books)); err != nil {
		log.Fatal(err)
	}
}

func side() {
	client, inspector := asynq.NewClient(address), asynq.NewInspector(address)
	everything := redis.NewClient(parsed(redis.ParseURL(os.Getenv("JOBS_REDIS"))))
	enqueue := func(number int, options ...asynq.Option) {
		for range number {
			ids++
			parsed(client.Enqueue(asynq.NewTask("job", fmt.Append(nil, ids)), append(options, asynq.Queue(queue))...))
		}
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var asked []json.RawMessage
		var name string
		var args []int
		parsed(0, json.Unmarshal(lines.Bytes(), &asked))
		parsed(0, json.Unmarshal(asked[0], &name))
		parsed(0, json.Unmarshal(asked[1], &args))
		var err error
		switch name {
		case "enqueue":
			enqueue(args[0])
		case "enqueue_in":
			enqueue(args[0], asynq.ProcessIn(time.Duration(args[1])*time.Second))
		case "enqueue_in_group":
			enqueue(args[0], asynq.Group("group"))
		case "pause":
			err = inspector.PauseQueue(queue)
		case "resume":
			err = inspector.UnpauseQueue(queue)
		case "purge":
			// A client that goes on after DeleteQueue does not make the queue known again.
			err = everything.FlushDB(context.Background()).Err()
		}
		parsed(0, err)
		fmt.Println("null")
	}
}

func main() {
	if len(os.Args) > 1 {
		worker()
	} else {
		side()
	}
}
