#!/usr/bin/env bash
# Honcho: after SIGTERM a busy worker has all the time it needs, unless another process ends before: then 5 s, and SIGKILL.
#
# One would assume that SIGTERM to honcho is passed on to each process, and that honcho ends when the last one has, however
# long that takes, since nothing on its command line sets a time; a try with one worker and a long job shows just that.
# The five seconds begin when the first process ends, not with the signal. So one worker alone finishes its job of any length;
# the same worker beside an idle one, which ends at once, is killed 5 s later. The same happens without any signal when one
# process of the Procfile ends by itself, with code 0 too: a worker in burst mode takes the others along.
# A container that runs `honcho start -c worker=4` loses jobs at each scale-down, whatever its stop grace, and only if some of
# its workers are idle, which is when an autoscaler takes it away. There is no option. One worker a container has no such
# limit. Seen with honcho 2.0.0 (honcho/manager.py: KILL_WAIT, loop).
set -euo pipefail

dir=$(mktemp -d)
pid=
trap 'kill -9 $pid 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check honcho==2.0.0
cd "$dir"
echo 'worker: exec python3 worker.py' >Procfile
cat >worker.py <<'PY'
import os
import signal
import time


def end(*_):
    if os.environ["HONCHO_PROCESS_NAME"] == "worker.1":  # the others are idle
        time.sleep(10)
        open("finished", "w").close()
    raise SystemExit(0)


signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    time.sleep(0.1)
PY
try() { # COPIES: prints what came of the job of worker.1
    rm -f finished
    venv/bin/honcho start -c "worker=$1" >"log$1" 2>&1 &
    pid=$!
    until [ "$(grep -c '| ready' "log$1")" = "$1" ]; do sleep 0.1; done
    kill -TERM $pid
    wait $pid || true
    if [ -e finished ]; then echo finished; else echo "killed"; fi
}
venv/bin/honcho version
try 1 >one
try 2 >two
echo "a job that needs 10 s more after SIGTERM: one worker: $(cat one); an idle one beside it: $(cat two)"
grep SIGKILL log2
[ "$(cat one two | xargs)" = "finished killed" ] || { echo "it is otherwise now"; exit 1; }
