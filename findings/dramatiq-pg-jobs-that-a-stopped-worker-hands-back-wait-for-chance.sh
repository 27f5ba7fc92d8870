#!/usr/bin/env bash
# dramatiq-pg: jobs that a worker hands back when it is stopped wait for minutes beside idle workers, until chance or a new worker finds them.
#
# One would assume that SIGTERM puts what a worker had fetched but not begun back into its queue for the others, who take it at once: in the
# table the jobs are "queued" again, as if they had just been sent.
# Workers hear of jobs by NOTIFY, which is sent with a new job and not with one that is handed back. Nobody looks into the table for
# them, but for a worker at its start, and an idle one by a throw of the dice each second, one in 301: five minutes on average, and a
# quarter of an hour in one case of twenty. A worker with enough to do throws none. Meanwhile newer jobs are run at once.
# An autoscaler that takes one of two workers away strands up to twice its threads of jobs, the oldest, beside one that is idle; it
# sees a backlog that does not shrink, starts a worker for it, which takes them at once, and takes that away again. `dramatiq-pg
# recover` does not help: it sends no NOTIFY either. Prefetch little (dramatiq_queue_prefetch=1), or send NOTIFY by a trigger.
# Seen with dramatiq-pg 0.12.0 (dramatiq_pg/broker.py: REQUEUE, PostgresConsumer.__next__), dramatiq 1.18.0. Needs PostgreSQL.
set -euo pipefail

bin=$(find /usr/lib/postgresql -name initdb -printf '%h\n' 2>/dev/null | tail -1)
[ -n "$bin" ] || { echo "needs PostgreSQL"; exit 77; }
dir=$(mktemp -d) pids=()
trap '{ kill "${pids[@]}"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
as=(env); [ "$(id -u)" != 0 ] || { as=(setpriv --reuid nobody --regid nogroup --clear-groups); chmod 755 "$dir"; }
mkdir -m 777 "$dir/db"
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check dramatiq-pg==0.12.0 dramatiq==1.18.0 psycopg2-binary==2.9.10 'setuptools<80'
"${as[@]}" "$bin/initdb" -D "$dir/db/data" -A trust -U postgres >/dev/null
"${as[@]}" "$bin/postgres" -D "$dir/db/data" -k "$dir/db" -c listen_addresses= -c fsync=off >"$dir/db.log" 2>&1 &
pids+=($!)
cat >"$dir/jobs.py" <<'PY'
import os, sys, time, dramatiq, dramatiq_pg, psycopg2
url = f"postgresql://postgres@{os.environ['DB'].replace('/', '%2F')}/postgres"
dramatiq.set_broker(dramatiq_pg.PostgresBroker(url=url, results=False))
@dramatiq.actor
def work():
    time.sleep(3)
def counts():
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT state::text, count(*) FROM dramatiq.queue GROUP BY 1 ORDER BY 1")
        return " ".join(f"{state} {count}" for state, count in cursor)
PY
cd "$dir"; export DB="$dir/db"
python() { "$dir/venv/bin/python" -c "from jobs import *; $1"; }
start() {
    "$dir/venv/bin/dramatiq" jobs --processes 1 --threads 2 >"$dir/log" 2>&1 & pids+=($!)
    until grep -q 'ready for action' "$dir/log"; do kill -0 "${pids[-1]}"; sleep 0.2; done
    sleep 4
}
until "$dir/venv/bin/dramatiq-pg" --dsn "$(python 'print(url)')" init 2>"$dir/log"; do kill -0 "${pids[0]}"; sleep 0.5; done
"$dir/venv/bin/pip" list 2>/dev/null | grep '^dramatiq-pg'
for _ in 1 2 3; do # the throw of the dice may be lucky
    start; first=${pids[-1]}
    start
    python '[work.send() for _ in range(8)]'
    sleep 1.5
    kill -TERM "$first"; wait "$first" || true
    sleep 10; handed=$(python 'print(counts())'); echo "eight jobs of 3 s, two workers, one is stopped; 10 s later: $handed"
    python 'work.send()'; sleep 6; newer=$(python 'print(counts())'); echo "one more is sent; 6 s later: $newer"
    start; sleep 2; anew=$(python 'print(counts())'); echo "a new worker; 6 s later: $anew"
    [[ "$handed" = *queued* && "$newer" = *queued* && "$anew" = "done 9" ]] && exit 0
    kill "${pids[@]:1}" 2>/dev/null || true; wait "${pids[@]:1}" || true; pids=("${pids[0]}")
    python 'db = psycopg2.connect(url); db.cursor().execute("DELETE FROM dramatiq.queue"); db.commit()'
done
exit 1
