#!/usr/bin/env bash
# Dask: a task whose workers were scaled down four times, by SIGTERM, is an error for good, as if it had killed them.
#
# One would assume that a worker that ends by SIGTERM leaves in good order (it logs that it closes, and exits with 0), so that what it was
# at work on is begun elsewhere, however often; `allowed-failures` (3) is there for tasks that kill their workers, by memory or a crash.
# For the scheduler each worker that it did not ask to leave died of the tasks it had. The fourth time the task is KilledWorker, an error
# that is not tried again, and so is all that depends on it. The same task goes on and on if the scheduler is told before each
# (client.retire_workers, as Dask's own adaptive clusters do): those do not count, though the task is cut off as well.
# Containers that an autoscaler, a spot market or a deployment takes away do that to the longest tasks, which see the most
# scale-downs, and the message blames the task. Have a worker retired before it is stopped, or raise
# distributed.scheduler.allowed-failures. Seen with distributed 2026.8.0 (scheduler.py: remove_worker, `expected`).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check distributed==2026.8.0 dask==2026.8.0
cd "$dir"
cat >look.py <<'PY'
import os, pathlib, signal, subprocess, sys, time, distributed


def job(journal):
    with open(journal, "a") as begun:
        print(os.getpid(), file=begun)
    while not os.path.exists(f"{journal}-enough"):
        time.sleep(0.1)


def look(how):
    journal = pathlib.Path(f"journal-{how}")
    journal.touch()
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster, distributed.Client(cluster) as client:
        future = client.submit(job, str(journal.absolute()), pure=False)
        for times in range(1, 6):
            command = ["venv/bin/dask", "worker", cluster.scheduler_address, "--nthreads", "1", "--no-dashboard", "--name", f"{how}-{times}"]
            if how == "retired":
                command.append("--no-nanny")
            worker = subprocess.Popen(command, stdout=open("log", "a"), stderr=subprocess.STDOUT)
            while len(journal.read_text().split()) < times:
                time.sleep(0.1)
            if how == "retired":
                client.retire_workers(names=[command[-2]])
                worker.kill()  # it would wait for half a minute for its thread
            else:
                worker.send_signal(signal.SIGTERM)
            code = worker.wait()
            time.sleep(1)
            print(f"worker {times} {how}, exit code {code}: the task is {future.status}", flush=True)
            if future.status == "error":
                return times, type(future.exception()).__name__
        return times, future.status


if __name__ == "__main__":
    print("distributed", distributed.__version__)
    seen = [look("SIGTERM"), look("retired")]
    sys.exit(seen != [(4, "KilledWorker"), (5, "pending")])
PY
venv/bin/python look.py 2>log2 || { tail -5 log2; echo "it does otherwise now"; exit 1; }
