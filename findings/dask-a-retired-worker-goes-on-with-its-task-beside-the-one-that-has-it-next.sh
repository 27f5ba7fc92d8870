#!/usr/bin/env bash
# Dask: a worker that is retired in a task goes on with it, while another has begun the same task: both run it, side by side, to its end.
#
# One would assume that client.retire_workers(), "gracefully" by its documentation, lets a worker end the task that it is at, or stops it
# before the task is begun elsewhere, and that it returns when the worker may be taken away.
# It saves the results that the worker holds, and that is all it waits for: it returns at once, the task is given to another worker in
# the same moment, and the retired one works on for up to half a minute (then it ends in the middle). What it computes in that time is
# thrown away, its effects are not: a mail is sent twice, two write the same file at the same time.
# An autoscaler that retires before it stops a container, as one should (SIGTERM alone counts against the task), has each task that is cut
# so run by two. Retire workers that client.processing() shows without a task, as Dask's adaptive clusters do, or make the tasks
# fit to be run twice at once. Seen with distributed 2026.8.0 (scheduler.py: retire_workers; worker.py: close).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check distributed==2026.8.0 dask==2026.8.0
cd "$dir"
cat >look.py <<'PY'
import os, pathlib, subprocess, sys, time

import distributed


def mail(journal):
    for line in ["begun", "sent"]:
        with open(journal, "a") as file:
            print(line, os.getpid(), file=file)
        time.sleep(12 if line == "begun" else 0)


def main():
    journal = pathlib.Path("journal").absolute()
    journal.touch()
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster, distributed.Client(cluster) as client:
        command = ["venv/bin/dask", "worker", cluster.scheduler_address, "--nthreads", "1", "--no-dashboard", "--name"]
        workers = {name: subprocess.Popen([*command, name], stdout=open("log", "a"), stderr=subprocess.STDOUT) for name in ("one", "two")}
        client.wait_for_workers(2)
        future = client.submit(mail, str(journal), pure=False)
        while not journal.read_text():
            time.sleep(0.1)
        (address,) = [address for address, tasks in client.processing().items() if tasks]
        name = client.scheduler_info()["workers"][address]["name"]
        begin = time.monotonic()
        client.retire_workers([address])
        took = time.monotonic() - begin
        future.result()
        workers[name].wait()
        lines = [line.split()[0] for line in journal.read_text().splitlines()]
        print(f"distributed {distributed.__version__}: to retire the worker took {took:.1f} s; the task of 12 s:", *lines)
        for worker in workers.values():
            worker.terminate()
            worker.wait()
    return lines != ["begun", "begun", "sent", "sent"] or took > 8


if __name__ == "__main__":
    sys.exit(main())
PY
venv/bin/python look.py 2>log2 || { tail -5 log2; echo "it does otherwise now"; exit 1; }
