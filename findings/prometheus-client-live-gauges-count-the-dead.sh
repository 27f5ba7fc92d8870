#!/usr/bin/env bash
# prometheus_client: a gauge with multiprocess_mode="livesum" goes on to count what a killed process had, and gives it to another.
#
# One would assume that "livesum", the sum over the processes that are alive, leaves out a process that is not there any more:
# its number is in the name of its file, so whoever adds up the files could see that.
# Nobody looks. A file counts until somebody calls mark_process_dead(pid), which Gunicorn does if its configuration says so, and
# no other server does by itself. And whichever process gets the same number next, in a container that is restarted mostly the
# very same, opens that file and goes on from its value.
# A gauge of the jobs in progress is never 0 again after one worker was killed in its work: an autoscaler that waits for 0 keeps
# the container, one with a target for each copy starts more. Empty PROMETHEUS_MULTIPROC_DIR at the start of the container, and
# call mark_process_dead where children are waited for. Seen with prometheus_client 0.26.0 (multiprocess.py, mmap_dict.py).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check prometheus_client==0.26.0
mkdir "$dir/metrics"
export PROMETHEUS_MULTIPROC_DIR=$dir/metrics
cat >"$dir/worker.py" <<'PY'
import os, signal, sys
from prometheus_client import Gauge, values

if len(sys.argv) > 1:  # the number that a restarted container gives it again
    values.ValueClass = values.MultiProcessValue(lambda: int(sys.argv[1]))
busy = Gauge("jobs_in_progress", "Jobs in progress.", multiprocess_mode="livesum")
if len(sys.argv) == 1:
    busy.inc()
    os.kill(os.getpid(), signal.SIGKILL)
PY
cat >"$dir/look.py" <<'PY'
import importlib.metadata, os, pathlib, subprocess, sys
from prometheus_client import CollectorRegistry, multiprocess


def total():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return registry.get_sample_value("jobs_in_progress")


print("prometheus_client", importlib.metadata.version("prometheus_client"))
work = [sys.executable, sys.argv[1]]
with subprocess.Popen(work) as worker:
    pass
alive = pathlib.Path(f"/proc/{worker.pid}").exists()
print("a worker was killed in its job, alive:", alive, "- livesum:", killed := total())
subprocess.run([*work, str(worker.pid)], check=True)
print("a new one with the same number has begun nothing - livesum:", again := total())
multiprocess.mark_process_dead(worker.pid)
print("after mark_process_dead:", marked := total(), os.listdir(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
assert (alive, killed, again, marked) == (False, 1, 1, None), "it looks who is alive now"
PY
"$dir/venv/bin/python" "$dir/look.py" "$dir/worker.py"
