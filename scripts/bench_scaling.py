"""How long one scaling calculation takes: `python scripts/bench_scaling.py [rounds]`.

Prints the median in milliseconds, for tasks that all look at a queue, in three situations:
room      all are short, and there is room for all
stuck     all are short, there is no room, and none can give
last      all are short, there is no room, and only the last can give
each      all are short, there is no room, and each could give a little
guard     what the guard takes when every second task is below its minimum
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.scaling import guard, scaling_calculation
from microscaling.metric.toy import ToyMetric
from microscaling.settings import Settings
from microscaling.target.queue import QueueLengthTarget

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


def times_s(tasks: Tasks, rounds: int, decide: Callable[[Tasks], bool]) -> list[float]:
    """Of `rounds` calculations on ever longer queues, demand put back before each: seconds."""
    times = []
    demands = [task.demand for task in tasks.tasks]
    for beat in range(rounds):
        for task, demand in zip(tasks.tasks, demands, strict=True):
            task.demand = demand
            task.metric.current = 100 + 40 * beat
        gc.collect()
        start = time.perf_counter()
        decide(tasks)
        times.append(time.perf_counter() - start)
    return times


CASES = (
    ("room", room, scaling_calculation),
    ("stuck", stuck, scaling_calculation),
    ("last", last, scaling_calculation),
    ("each", each, scaling_calculation),
    ("guard", below, guard),
)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    print(f"{'':>8}" + "".join(f"{size:>10,}" for size in SIZES) + "  tasks")
    for name, make_case, decide in CASES:
        row = [1000 * statistics.median(times_s(make_case(size), rounds, decide)) for size in SIZES]
        print(f"{name:>8}" + "".join(f"{ms:>10.3f}" for ms in row) + "  ms")


if __name__ == "__main__":
    main()
