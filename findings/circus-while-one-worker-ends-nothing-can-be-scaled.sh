#!/usr/bin/env bash
# Circus: while one worker ends, no watcher can be scaled up or down, and the oldest is the first that goes.
#
# One would assume that `circusctl decr mail` tells one worker to end, the newest or an idle one, and that other commands go on
# meanwhile, all the more for other watchers: graceful_timeout is there to give a worker the time for its job.
# The arbiter has one lock for everything. Until the worker has ended, or its graceful_timeout is over, each incr, decr, start, stop and
# reload, of any watcher, is refused with "arbiter is already running watcher_decr command". The worker that is told to end is the
# oldest, so the one that has most likely a long job; `numprocesses` counts it until it has gone.
# An autoscaler that takes one worker away with a job of ten minutes cannot start any worker of any queue for ten minutes; where it
# takes the answer "ok" of the first for the end of the matter, its next steps are lost. Look at the exit code and try again, or run
# one circusd for each queue. Seen with circus 0.19.0 (circus/arbiter.py, circus/util.py: synchronized; watcher.py).
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '{ kill -9 $pid $(cut -d " " -f 2 "$dir"/*.journal); wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check circus==0.19.0
cd "$dir"
port=${PORT:-41910}
cat >worker.py <<'PY'
import os, signal, sys, time
def end(*_):  # the job that it works on takes a while
    print("told", os.getpid(), file=open(f"{sys.argv[1]}.journal", "a"))
    time.sleep(15)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("begun", os.getpid(), file=open(f"{sys.argv[1]}.journal", "a"))
time.sleep(600)
PY
printf '[circus]\nendpoint = tcp://127.0.0.1:%s\npubsub_endpoint = tcp://127.0.0.1:%s\n' "$port" $((port + 1)) >circus.ini
for name in mail web; do
    printf '[watcher:%s]\ncmd = %s worker.py %s\ncopy_env = True\nnumprocesses = 1\ngraceful_timeout = 60\n' $name "$dir/venv/bin/python" $name
done >>circus.ini
venv/bin/circusd circus.ini >log 2>&1 &
pid=$!
control() { venv/bin/circusctl --endpoint "tcp://127.0.0.1:$port" --timeout 10 "$@" 2>&1 && echo "(exit code 0)" || echo "(exit code $?)"; }
count() { for _ in $(seq 100); do [ "$(cat "$1.journal" 2>/dev/null | grep -c "$2")" != "$3" ] || return 0; sleep 0.2; done; }
count mail begun 1
count web begun 1
until control incr mail | grep -q "code 0"; do sleep 0.5; done # it is refused while the watchers start, too
count mail begun 2
venv/bin/pip list 2>/dev/null | grep '^circus '
first=$(control decr mail | tr '\n' ' ')
count mail told 1
second=$(control incr web | tr '\n' ' ')
sleep 1
begun=$(grep -c begun web.journal)
oldest=$([ "$(sed -n 's/told //p' mail.journal)" = "$(sed -n 's/begun //p;q' mail.journal)" ] && echo oldest || echo newest)
sleep 17
third=$(control incr web | tr '\n' ' ')
count web begun 2
echo "decr mail: $first- the $oldest is told to end"
echo "incr web, while it ends: $second- workers of web: $begun"
echo "incr web, when it has ended: $third- workers of web: $(grep -c begun web.journal)"
case "$oldest $second$begun" in "oldest error: arbiter is already running"*" 1") ;; *) echo "they go on now"; exit 1 ;; esac
[ "$(grep -c begun web.journal)" = 2 ]
