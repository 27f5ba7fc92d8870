#!/usr/bin/env bash
# db-scheduler with lock-and-fetch: jobs that a worker had picked and not begun stay with it for half an hour after it was stopped.
#
# One would assume that scheduler.stop(), the stop in good order, gives back what the worker has only picked: it is a row with
# picked = true, and one UPDATE makes it free for the others.
# By pollUsingLockAndFetch(1.0, 4.0) (the page's limits for throughput) two threads hold eight jobs, and a stop runs all of them before
# it returns: after shutdownMaxWait it interrupts the two that run, and forgets the rest. Those stay picked by a worker that is no
# more, until they are taken for dead, six heartbeats of five minutes later. (The two that were cut off are put off for five minutes.)
# For an autoscaler: what it counts as waiting (picked = false and due) is 0 though six jobs wait; what it adds up with the picked ones
# is never less; and a new worker finds nothing to do. A killed worker leaves the same. The default of shutdownMaxWait, half an
# hour, is longer than any grace. Have the upper limit at 1.0, heartbeats of some seconds, and a grace of (upper limit + 1) jobs.
# Seen with db-scheduler 16.7.1 (Executor.stop, LockAndFetchCandidates), PostgreSQL 15. Needs PostgreSQL, Java 17 and Maven.
set -euo pipefail
bin=$(find /usr/lib/postgresql -name initdb -printf '%h\n' 2>/dev/null | tail -1)
[ -n "$bin" ] || { echo "needs PostgreSQL"; exit 77; }
dir=$(mktemp -d) port=${PORT:-39432} worker=
trap '{ kill "$worker" "$pid"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
as=(env); [ "$(id -u)" != 0 ] || { as=(setpriv --reuid nobody --regid nogroup --clear-groups); chmod 755 "$dir"; }
cd "$dir"; mkdir -m 777 db
need() { echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"; }
echo "<project><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId><version>1</version><dependencies>$(need \
    com.github.kagkarlsson db-scheduler 16.7.1; need org.postgresql postgresql 42.7.7)</dependencies></project>" >pom.xml
mvn -q -B -Dmaven.repo.local="$dir/m2" dependency:copy-dependencies -DoutputDirectory=lib -DincludeScope=runtime >log 2>&1 || { cat log; exit 1; }
"${as[@]}" "$bin/initdb" -D "$dir/db/data" -A trust -U postgres >/dev/null
"${as[@]}" "$bin/postgres" -D "$dir/db/data" -k "$dir/db" -p "$port" -c listen_addresses=127.0.0.1 -c fsync=off >"$dir/db.log" 2>&1 & pid=$!
until "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; do kill -0 $pid; sleep 0.2; done
cat >Worker.java <<'JAVA'
import com.github.kagkarlsson.scheduler.Scheduler; import com.github.kagkarlsson.scheduler.task.helper.Tasks; import java.time.*;
class Worker {
    public static void main(String[] args) throws Exception {
        var data = new org.postgresql.ds.PGSimpleDataSource();
        data.setURL(args[0]);
        var work = Tasks.oneTime("mail").execute((job, context) -> {
            System.out.println("begun");
            try { Thread.sleep(120_000); } catch (InterruptedException stop) { throw new RuntimeException(stop); }
        });
        var worker = Scheduler.create(data, work).threads(2).pollUsingLockAndFetch(1.0, 4.0).pollingInterval(Duration.ofSeconds(1))
            .shutdownMaxWait(Duration.ofSeconds(3)).schedulerName(() -> args[1]).registerShutdownHook().build();
        for (int job = 0; job < Integer.parseInt(args[2]); job++) worker.schedule(work.instance("" + job), Instant.now());
        worker.start();
    }
}
JAVA
sql() { "$bin/psql" -qAt -h 127.0.0.1 -p "$port" -U postgres -c "$1"; }
look() { sql "SELECT count(*), CASE WHEN picked THEN 'picked by ' || picked_by WHEN execution_time <= now() THEN 'waiting' ELSE 'for later' END FROM scheduled_tasks GROUP BY 2 ORDER BY 2" | tr '|\n' ' ;'; }
sql "CREATE TABLE scheduled_tasks (task_name text, task_instance text, task_data bytea, execution_time timestamptz, picked boolean, picked_by text,
    last_success timestamptz, last_failure timestamptz, consecutive_failures int, last_heartbeat timestamptz, version bigint, priority smallint,
    state text, PRIMARY KEY (task_name, task_instance))"
worker() { # NAME JOBS
    java -cp 'lib/*' Worker.java "jdbc:postgresql://127.0.0.1:$port/postgres?user=postgres" "$1" "$2" >>begun 2>log & worker=$!
}
worker first 8
until [ "$(grep -cs begun begun)" = 2 ]; do kill -0 $worker; sleep 1; done
echo "db-scheduler 16.7.1, a worker with two threads, eight jobs: $(look)"
kill $worker && { wait $worker || true; }
echo "stopped in good order: $(look)"
worker second 0
sleep 25
echo "another worker, for 25 s: $(look)begun $(wc -l <begun)" | tee seen
grep -q ': 2 for later;6 picked by first;begun 2$' seen || { echo "they are given back now"; exit 1; }
