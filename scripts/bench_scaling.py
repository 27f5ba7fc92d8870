"""How long one scaling calculation takes, in processor time:

    python scripts/bench_scaling.py                       # the median of 21 rounds, in milliseconds
    python scripts/bench_scaling.py --against CHECKOUT    # beside another build, by turns

For tasks that all look at a queue, in five situations, and for all that a beat does:
room      all are short, and there is room for all
stuck     all are short, there is no room, and none can give
last      all are short, there is no room, and only the last can give
each      all are short, there is no room, and each could give a little
guard     what the guard takes when every second task is below its minimum
beat      a whole beat in which every task moves, with readings that are judged
calm      a whole beat in which none does

`--against` runs two processes, one a checkout, with one round of each in turn: whatever else the machine does
then slows both. Ends with 1 if this build takes more than `--most` of the other's time, by the minimum
and by the median, anywhere.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess  # nosec: runs this file
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# `--serve CHECKOUT` is how --against has another build measured.
sys.path.insert(
    0, sys.argv[2] if sys.argv[1:2] == ["--serve"] else str(Path(__file__).resolve().parent.parent)
)

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.decider import Decider
from microscaling.engine.readings import Readings
from microscaling.engine.scaling import guard, scaling_calculation
from microscaling.metric.base import Metric, Source
from microscaling.metric.toy import ToyMetric
from microscaling.settings import Settings
from microscaling.target.queue import QueueLengthTarget

ROOT = Path(__file__).resolve().parent.parent
SIZES = (10, 100, 1_000, 10_000)


def make(count: int, cap: int, settings: Settings) -> Tasks:
    """Tasks of one container each, which is their minimum."""
    return Tasks(
        [
            Task(
                f"task{i}",
                demand=1,
                requested=1,
                running=1,
                priority=i + 1,
                max_delta=9,
                min_containers=1,
                max_containers=10,
                target=QueueLengthTarget(50, settings),
                metric=ToyMetric(),
            )
            for i in range(count)
        ],
        cap,
    )


def room(count: int) -> Tasks:
    return make(count, 20 * count, Settings())


def stuck(count: int) -> Tasks:
    return make(count, count, Settings())


def last(count: int) -> Tasks:
    tasks = make(count, count + 8, Settings())
    giver = tasks.tasks[-1]
    giver.demand = giver.requested = giver.running = 9
    return tasks


def each(count: int) -> Tasks:
    tasks = make(count, 3 * count, Settings())
    for task in tasks.tasks:
        task.demand = task.requested = task.running = 3
        task.max_delta = 1
    return tasks


def below(count: int) -> Tasks:
    tasks = make(count, count, Settings())
    for i, task in enumerate(tasks.tasks):
        task.demand = 2 * (i % 2)
    return tasks


class Answer(Source):
    """Asked for all tasks at once, as the management API of a broker is."""

    key = "answer"
    name = "answer"

    def fetch(self) -> int:
        return 0


class Asked(Metric):
    """What the source answered; `current` is written by the beat."""

    def __init__(self) -> None:
        self.source = Answer()

    def read(self, answer: Any) -> int:
        return int(answer)


def asked(tasks: Tasks) -> Tasks:
    for task in tasks.tasks:
        task.metric = Asked()
    return tasks


def moving(count: int) -> Tasks:
    return asked(room(count))


def calm(count: int) -> Tasks:
    return asked(stuck(count))


def times_s(tasks: Tasks, rounds: int, decide: Callable[[Tasks], bool]) -> list[float]:
    """Of `rounds` calculations on ever longer queues, demand put back before each: seconds."""
    case = Case(tasks, decide)
    return [case.round_s() for _ in range(rounds)]


class Case:
    """Tasks, and what to measure on them: seconds of processor time."""

    def __init__(self, tasks: Tasks, decide: Callable[[Tasks], bool] | None) -> None:
        self.tasks = tasks
        self.demands = [task.demand for task in tasks.tasks]
        self.rounds = 0
        self.readings = Readings(tasks.tasks, 1.5)
        decider = Decider(tasks, self.readings)
        self.decide = decide or (lambda _: decider.beat(self.rounds / 2))

    def round_s(self) -> float:
        """On a longer queue than the round before, with demand put back."""
        length = 100 + 40 * self.rounds
        for task, demand in zip(self.tasks.tasks, self.demands, strict=True):
            task.demand = demand
            task.metric.current = length
        for poll in self.readings.start(self.rounds / 2, 0.1):
            poll.finish(self.rounds / 2, length)
        gc.collect()
        start = time.process_time()
        self.decide(self.tasks)
        took = time.process_time() - start
        self.rounds += 1
        return took


CASES = (
    ("room", room, scaling_calculation),
    ("stuck", stuck, scaling_calculation),
    ("last", last, scaling_calculation),
    ("each", each, scaling_calculation),
    ("guard", below, guard),
)
BEATS = (("beat", moving, None), ("calm", calm, None))


def serve() -> None:
    """Measures a round of the case and size in each line of input."""
    made: dict[tuple[str, int], Case] = {}
    for line in sys.stdin:
        name, size = line.split()
        for case, make_case, decide in (*CASES, *BEATS):
            if case == name and (name, int(size)) not in made:
                made.clear()
                made[name, int(size)] = Case(make_case(int(size)), decide)
        print(made[name, int(size)].round_s(), flush=True)


class Build:
    """A process that measures what one checkout does."""

    def __init__(self, root: Path) -> None:
        self.process = subprocess.Popen(  # nosec: this file
            [sys.executable, __file__, "--serve", str(root)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def round_s(self, name: str, size: int) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(name, size, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def compare(root: Path, rounds: int, sizes: list[int], most: float) -> bool:
    """Prints a line for each case and size. Returns whether this build is slow anywhere."""
    ours, theirs = Build(ROOT), Build(root)
    slow = False
    try:
        for name, _, _ in (*CASES, *BEATS):
            for size in sizes:
                pairs = [(ours.round_s(name, size), theirs.round_s(name, size)) for _ in range(rounds)]
                our, their = zip(*pairs[1:], strict=True)  # the first warms up
                least = min(our) / min(their)
                middle = statistics.median(our) / statistics.median(their)
                slow = slow or min(least, middle) > most
                print(
                    f"{name:>8}{size:>8,} tasks: minimum {1000 * min(our):7.2f} ms, ratio {least:.3f}; "
                    f"median {1000 * statistics.median(our):7.2f} ms, ratio {middle:.3f}", flush=True
                )  # fmt: skip
    finally:
        for build in (ours, theirs):
            build.process.communicate()
    return slow


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 10_000], help="only with --against")
    parser.add_argument("--most", type=float, default=1.03, help="only with --against")
    parser.add_argument("--against", type=Path, help="a checkout of another build")
    options = parser.parse_args()
    if options.against:
        return int(compare(options.against, options.rounds, options.sizes, options.most))
    print(f"{'':>8}" + "".join(f"{size:>10,}" for size in SIZES) + "  tasks")
    for name, make_case, decide in (*CASES, *BEATS):
        row = [1000 * statistics.median(times_s(make_case(size), options.rounds, decide)) for size in SIZES]
        print(f"{name:>8}" + "".join(f"{ms:>10.3f}" for ms in row) + "  ms")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve()
    else:
        sys.exit(main())
