#!/usr/bin/env bash
# Supervisor: at SIGTERM its programs are stopped one after another, so the first in the file works on for the whole grace, and is killed.
#
# One would assume that `docker stop` of a container with supervisord tells all workers in it to end, and that the container needs as
# long as the slowest of them: they have the same priority, unless the file says otherwise, and `supervisorctl stop all` does just so.
# Each program (or group) is a step of its own, by priority, and from the last in the file to the first; the next one hears of
# it when the one before has ended or its stopwaitsecs is over. The times add up: three workers of three queues, each with a job of
# 3 s, take more than 9 s; and the first takes new jobs all the while.
# With jobs of 6 s and Docker's 10 s the last in turn never gets SIGTERM, and is killed in a job that it began after the stop. Set the
# grace of the container to the sum of all stopwaitsecs, put the workers into one [group:x] (they are told together), or use numprocs.
# Its issue 326 ("shutdown is slow") is closed, 723 is open. Seen with supervisor 4.3.0 (supervisord.py: ordered_stop_groups_phase_1).
set -euo pipefail

dir=$(mktemp -d)
pid=
trap 'kill $pid 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check supervisor==4.3.0
cd "$dir"
cat >worker.py <<'PY'
import signal, sys, time


def stop(*_):
    with open("told", "a") as told:
        print(sys.argv[1], round(time.time() - float(open("begin").read())), file=told)
    time.sleep(3)  # its job
    sys.exit()


signal.signal(signal.SIGTERM, stop)
open(sys.argv[1], "w").close()
while True:
    time.sleep(1)
PY
look() { # LINES MORE
    { printf '[supervisord]\nnodaemon=true\nlogfile=%s/log\npidfile=%s/pid\n' "$dir" "$dir"
      for queue in mail pictures reports; do
          printf '[program:%s]\ncommand=python3 worker.py %s\ndirectory=%s\nstopwaitsecs=600\n' "$queue" "$queue" "$dir"
      done
      printf "$1"; } >supervisor.conf
    rm -f told mail pictures reports
    venv/bin/supervisord -c supervisor.conf >out 2>&1 &
    pid=$!
    until [ -e mail ] && [ -e pictures ] && [ -e reports ]; do sleep 0.1; done
    date +%s.%N >begin
    kill "$pid"
    wait "$pid"
    took=$(($(date +%s) - $(cut -d. -f1 begin)))
    first=$(awk 'NR == 1 { print $2 }' told) last=$(awk 'END { print $2 }' told)
    echo "told to end after so many seconds: $(xargs <told); all ended after $took s"
}
echo "supervisor $(venv/bin/supervisord --version)"
look ""
[ "$first" -le 1 ] && [ "$last" -ge 6 ] && [ "$took" -ge 9 ] || { echo "they are told together now"; exit 1; }
echo "the same in one group:"
look '[group:all]\nprograms=mail,pictures,reports\n'
[ "$last" -le 2 ] && [ "$took" -le 6 ]
