"""Jobs that scale-downs and hand-overs end in the middle: with SIGTERM and the grace alone, and with a drain.

    python -m scripts.bench_drain [--changes 200] [--kinds PROCESS,DOCKER] [--seed 1] [--signal USR1]

Two tasks share 8 workers, and change their shares at random while there is always work. A worker is a shell
script as people write them: it keeps a busy file while it has a job, takes no new one after USR1, TSTP or
TERM, and ends with TERM. A job takes 0.2 to 3 s, the grace is 1 s. One that has begun and has no end is lost.
DOCKER needs an engine and one of the images microscaling-base/busybox, busybox:stable.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microscaling.api.apps import apps_from_parsed
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers.backend import Backend
from microscaling.scheduler.containers.driver import ContainerScheduler

CAP = 8
NAMES = ("bench-a", "bench-b")
STEP_S = 0.5
JOB_S = (0.2, 3.0)
WAITING = 24
"""Jobs that wait at any time."""
PATIENCE_S = 120.0
HOST = "unix:///var/run/docker.sock"
IMAGES = ("microscaling-base/busybox", "busybox:stable")
WORKER = """\
#!/bin/sh
# Takes jobs from $1/queue until TERM; takes none after USR1, or TSTP, as Sidekiq does.
quiet= over= busy=${MSS_BUSY_FILE:-/busy}
trap 'quiet=1' USR1 TSTP
trap 'over=1' TERM
while [ -z "$over" ]; do
    touch "$busy"
    if [ -z "$quiet" ]; then
        job=$(ls "$1/queue" | head -n 1)
        if [ -n "$job" ] && mv "$1/queue/$job" "$1/taken/" 2>/dev/null; then
            echo "start $job" >>"$1/log"
            sleep "${job#*-}"
            echo "end $job" >>"$1/log"
        fi
    fi
    rm -f "$busy"
    sleep 0.1
done
"""


@dataclass(frozen=True)
class Figures:
    """The jobs of one run, and its changes."""

    changes: int
    jobs: int
    lost: int
    repeated: int
    seconds: float


class Jobs:
    """A folder with jobs: each a file whose name has a number, and the seconds that it takes."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self._number = 0
        for name in ("queue", "taken"):
            (folder / name).mkdir()
        (folder / "log").touch()

    def fill(self) -> None:
        """Adds jobs until enough of them wait."""
        for _ in range(WAITING - len(os.listdir(self.folder / "queue"))):
            self._number += 1
            (self.folder / "queue" / f"{self._number:06}-{self.rng.uniform(*JOB_S):.2f}").touch()

    def counts(self) -> tuple[int, int, int]:
        """Returns the jobs that were taken, those without an end, and those that began twice."""
        lines = (self.folder / "log").read_text().split("\n")
        began, ended = (
            collections.Counter(line.split()[1] for line in lines if line.startswith(word))
            for word in ("start ", "end ")
        )
        taken = {*os.listdir(self.folder / "taken"), *began}
        return len(taken), len(taken - ended.keys()), sum(count > 1 for count in began.values())


def configured(kind: str, folder: Path, signal: str) -> Tasks:
    """Returns both tasks. `signal`: the one that quiets a worker; empty: it does not drain."""
    worker = folder / "worker.sh"
    worker.write_text(WORKER)
    worker.chmod(0o755)
    config: dict[str, Any] = {"command": ["sh", str(worker), str(folder)]}
    if kind == "DOCKER":
        config |= {"image": image(), "volumes": [f"{folder}:{folder}"], "networkMode": "none"}
    if signal:
        file = f"{folder}/busy-{{name}}-{{number}}" if kind == "PROCESS" else "/busy"
        config |= {"busyFile": file, "drain": {"signal": signal, "seconds": 60}}
    apps = [
        {
            "name": name,
            "priority": priority,
            "maxContainers": CAP,
            "config": {
                key: value.replace("{name}", name) if isinstance(value, str) else value
                for key, value in config.items()
            },
        }
        for priority, name in enumerate(NAMES)
    ]
    tasks, cap = apps_from_parsed({"maxContainers": CAP, "apps": apps})
    return Tasks(tasks, cap, "process" if kind == "PROCESS" else "container")


def image() -> str:
    """Returns the first of the images that the engine has."""
    import docker

    with contextlib.closing(docker.APIClient(base_url=HOST, version="auto")) as client:
        for name in IMAGES:
            if client.images(name):
                return name
    raise SystemExit(f"the engine has none of {', '.join(IMAGES)}: scripts/base-images makes the first")


@contextlib.contextmanager
def scheduler_of(kind: str, folder: Path, tasks: Tasks) -> Iterator[ContainerScheduler]:
    """A scheduler with nothing running; afterwards nothing runs either."""
    backend: Backend
    if kind == "PROCESS":
        from microscaling.scheduler.process.backend import ProcessBackend

        backend = ProcessBackend(str(folder / "state"))
    else:
        from microscaling.scheduler.docker.backend import DockerBackend

        backend = DockerBackend(os.environ.get("DOCKER_HOST") or HOST, pull_images=False)
    scheduler = ContainerScheduler(backend, exit_timeout_s=PATIENCE_S)
    try:
        scheduler.count_all_tasks(tasks)
        yield scheduler
        scheduler.drain(tasks)
        pass_time(scheduler, tasks, PATIENCE_S, until_idle=True)
    finally:
        scheduler.cleanup()


def pass_time(scheduler: ContainerScheduler, tasks: Tasks, seconds: float, until_idle: bool = False) -> None:
    """Does for so long what an agent does between two decisions."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (until_idle and scheduler.idle(tasks)):
        scheduler.count_all_tasks(tasks)
        due = scheduler.next_retry()
        if due is not None and due <= time.monotonic():
            scheduler.stop_start_tasks(tasks)
        time.sleep(0.05)


def run(kind: str, drain: bool, changes: int, seed: int, signal: str = "USR1") -> Figures:
    """Changes the shares so many times; returns what became of the jobs. `signal`: quiets a worker."""
    rng, begun = random.Random(seed), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="bench-drain-"))
    try:
        tasks, jobs = configured(kind, folder, signal if drain else ""), Jobs(folder, rng)
        jobs.fill()
        done = 0
        with scheduler_of(kind, folder, tasks) as scheduler:
            share = [4, 4]
            while done < changes:
                with tasks:
                    for task, count in zip(tasks.tasks, share, strict=True):
                        task.demand = count
                scheduler.stop_start_tasks(tasks)
                pass_time(scheduler, tasks, STEP_S)
                jobs.fill()
                new = [rng.randint(0, CAP), 0]
                new[1] = rng.randint(0, CAP - new[0])
                done += any(after < before for after, before in zip(new, share, strict=True))
                share = new
        taken, lost, repeated = jobs.counts()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Figures(changes, taken, lost, repeated, time.monotonic() - begun)


def main(arguments: list[str] | None = None) -> int:
    """Prints a table; returns 1 if a drain has lost or repeated a job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--kinds", default="PROCESS,DOCKER")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--signal", default="USR1", help="quiets a worker: USR1 or TSTP")
    given = parser.parse_args(arguments)
    print(f"{'':10}{'':22}{'scale-downs':>12}{'jobs':>7}{'lost':>6}{'twice':>7}{'seconds':>9}")
    bad = 0
    for kind in given.kinds.split(","):
        for drain, what in ((False, "SIGTERM and the grace"), (True, "drain")):
            of = run(kind, drain, given.changes, given.seed, given.signal)
            bad += drain * (of.lost + of.repeated)
            print(f"{kind:10}{what:22}{of.changes:12}{of.jobs:7}{of.lost:6}{of.repeated:7}{of.seconds:9.0f}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
