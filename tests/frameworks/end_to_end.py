"""Real workers of a job framework under a real agent: bursts of jobs, from zero and back to zero.

The same jobs are done twice: with the framework's own metric, and with the length of the list that people
look at. The books, which the jobs keep themselves, and the processes of this machine show how each did.
"""

from __future__ import annotations

import random
import shlex
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.frameworks.stage import Stage
from tests.integration.agents import AgentProcess
from tests.leaks import of_each_process

CAP = 4
PER_WORKER = 4
"""Jobs for each worker, of which it does two at a time."""
GRACE_S = 40.0
LONGEST_JOB_S = 0.5
FAR_S = 36_000.0
PATIENCE_S = 240.0
"""For the framework's own metric, which gets there: only a test that fails waits for all of it."""
LOOK_S = 0.1
CLOCKS_S = 1.0
"""By which a job may begin early: RQ and others cut times off to whole seconds."""


@dataclass(frozen=True)
class Job:
    """One job of the load, as a framework's side is asked to put it."""

    id: int
    seconds: float
    delay: float = 0.0
    """Seconds until it may run."""
    other: bool = False
    """Whether it has another priority than most."""


@dataclass(frozen=True)
class Phase:
    """Jobs that are put at once; it ends when all of them are done and no worker is left."""

    name: str
    jobs: list[Job]

    @property
    def due(self) -> list[Job]:
        return [job for job in self.jobs if job.delay < FAR_S]


@dataclass(frozen=True)
class Framework:
    """One framework, with both ways to measure it. `${JOBS_REDIS}` and the like in a URL are variables of the
    stage, which the agent and its workers have, too."""

    name: str
    open: Callable[[Path], AbstractContextManager[Stage]]
    """Starts its service and its side."""
    command: Callable[[Stage], list[str]]
    """The command of one worker."""
    metric: str
    config: Mapping[str, Any]
    naive: str
    """The metricType that gives the list's length, and its fields."""
    naive_config: Mapping[str, Any]
    window_s: float = 2.0


@dataclass
class Figures:
    """How it went with one way to measure."""

    jobs: int = 0
    """That were due."""
    once: int = 0
    """Begun once, and done once."""
    repeated: int = 0
    early: int = 0
    """Begun before their time."""
    late: int = 0
    """Not done when everything had come to rest, or after the longest wait, before the next burst."""
    undone: int = 0
    """Not done at the end."""
    for_future: int = 0
    """Starts of workers while only jobs of the future were there."""
    starts: int = 0
    """Starts of workers."""
    worker_s: float = 0.0
    wait_s: float = 0.0
    """Median of the time from when a job may run to its start."""
    longest_wait_s: float = 0.0
    seconds: float = 0.0
    """All in all."""


class Load:
    """About so many jobs, always the same: among them delayed ones, and some of another priority."""

    def __init__(self, jobs: int, quiet_s: float, bursts: int = 3) -> None:
        self.quiet_s = quiet_s
        chosen = random.Random(16)
        numbers = iter(range(10**6))

        def job(delay: float = 0.0, other: bool = False) -> Job:
            return Job(next(numbers), round(chosen.uniform(0.05, LONGEST_JOB_S), 3), delay, other)

        def mixed(i: int) -> Job:
            return job(delay=(1.0, 2.0)[i % 2] if i % 5 == 0 else 0.0, other=i % 5 == 1)

        few = max(2, jobs // 16)
        each = (jobs - 4 * few) // bursts
        self.phases = [
            Phase("for the future only", [job(delay=FAR_S) for _ in range(few)]),
            Phase("delayed only", [job(delay=2.0) for _ in range(few)]),
            Phase("of the other priority only", [job(other=True) for _ in range(2 * few)]),
            *(Phase(f"burst {i + 1}", [mixed(n) for n in range(each)]) for i in range(bursts)),
        ]


class Workers(threading.Thread):
    """Counts the children of a process, several times a second."""

    def __init__(self, parent: int) -> None:
        super().__init__(daemon=True)
        self.parent = parent
        self.seen: set[tuple[int, str]] = set()
        self.seconds = 0.0
        self.now = 0
        self._over = threading.Event()

    def run(self) -> None:
        last = time.monotonic()
        while not self._over.wait(LOOK_S):
            found = set(children(self.parent))
            now = time.monotonic()
            self.seconds += len(found) * (now - last)
            last = now
            self.seen |= found
            self.now = len(found)

    def stop(self) -> None:
        self._over.set()
        self.join()


def children(parent: int) -> Iterator[tuple[int, str]]:
    """The living children of a process, by number and time of start."""
    for path in of_each_process("stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if words[1] == str(parent) and words[0] not in "ZX":
            yield int(path.parent.name), words[19]


class Books:
    """When each job might run, was begun and was done (Unix seconds)."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.may_run: dict[int, float] = {}

    def put(self, phase: Phase) -> None:
        now = time.time()
        self.may_run |= {job.id: now + job.delay for job in phase.jobs}
        self.stage.ask("put", [asdict(job) for job in phase.jobs])

    def times(self, key: str) -> dict[int, list[float]]:
        found = defaultdict(list)
        for entry in self.stage.books.lrange(key, 0, -1):
            id, when = entry.split()
            found[int(id)].append(float(when))
        return dict(found)

    def open_of(self, phases: list[Phase]) -> int:
        """Jobs that may run, sooner or later, and are not done."""
        done = self.times("done")
        return sum(job.id not in done for phase in phases for job in phase.due)

    def figures(self, phases: list[Phase]) -> Figures:
        started, done = self.times("started"), self.times("done")
        due = [job.id for phase in phases for job in phase.due]
        waits = [started[id][0] - self.may_run[id] for id in due if id in started]
        return Figures(
            jobs=len(due),
            once=sum(len(started.get(id, ())) == len(done.get(id, ())) == 1 for id in due),
            repeated=sum(len(times) > 1 for times in started.values()),
            early=sum(times[0] < self.may_run[id] - CLOCKS_S for id, times in started.items()),
            undone=sum(id not in done for id in due),
            wait_s=statistics.median(waits) if waits else 0.0,
            longest_wait_s=max(waits, default=0.0),
        )


def run(
    framework: Framework, load: Load, folder: Path, naive: bool = False, patience_s: float = PATIENCE_S
) -> Figures:
    """Does all phases of the load, each until its jobs are done and no worker is left.

    With the naive way each phase lasts `patience_s` at most: some of its jobs would wait for ever.
    """
    folder.mkdir(exist_ok=True)
    began = time.monotonic()
    late = for_future = 0
    with framework.open(folder) as stage, agent(framework, stage, folder, naive) as (process, workers):
        books = Books(stage)
        for number, phase in enumerate(load.phases, 1):
            past = load.phases[:number]
            before = len(workers.seen)
            books.put(phase)
            if phase.due:
                rests = until(partial(_rests, books, past, workers), patience_s)
                left = f"{books.open_of(past)} jobs are left, and {workers.now} workers"
                assert rests or naive, f"{framework.name}: {phase.name}: {left}"
                late += books.open_of([phase])
            else:
                time.sleep(load.quiet_s)
                for_future += len(workers.seen) - before
        if not books.open_of(load.phases):
            before = len(workers.seen)
            time.sleep(load.quiet_s)  # those of the future are still there
            for_future += len(workers.seen) - before
        figures = books.figures(load.phases)
        assert process.stop() == 0, process.log()
        workers.stop()
    figures.late, figures.for_future = late, for_future
    figures.starts, figures.worker_s = len(workers.seen), workers.seconds
    figures.seconds = time.monotonic() - began
    return figures


def _rests(books: Books, phases: list[Phase], workers: Workers) -> bool:
    return not books.open_of(phases) and not workers.now


@contextmanager
def agent(
    framework: Framework, stage: Stage, folder: Path, naive: bool
) -> Iterator[tuple[AgentProcess, Workers]]:
    """A real agent with one task, the framework's workers, and what counts those."""
    kind, source = (
        (framework.naive, framework.naive_config) if naive else (framework.metric, framework.config)
    )
    given = {name: value for name, value in stage.environ.items() if name.startswith("JOBS_")}
    config = {
        "command": shlex.join(framework.command(stage)),
        "env": {**given, "PYTHONPATH": stage.environ["PYTHONPATH"]},
        "targetPerContainer": PER_WORKER,
        "stopGraceSeconds": GRACE_S,
        **source,
    }
    task = {
        "name": "jobs",
        "ruleType": "PerContainer",
        "metricType": kind,
        "minContainers": 0,
        "maxContainers": CAP,
        "scaleDownWindowSeconds": framework.window_s,
        "config": config,
    }
    settings = {"MSS_SCHEDULER": "PROCESS", "MSS_STATE_DIR": str(folder / "state")}
    with AgentProcess(folder, [task], CAP, **settings, **given) as process:
        workers = Workers(process.process.pid)
        workers.start()
        try:
            yield process, workers
        finally:
            workers.stop()


def until(what: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return found
