"""Where it bends: more containers on one engine, more tasks in a calculation, more of both on paper.

python -m scripts.bench.curves [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from microscaling.api.metrics import metrics_message, task_metrics
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from scripts import bench_scaling
from scripts.bench.engine import MINE, Floor, Witness, clean, connect, now
from scripts.bench.ours import OurAgent, Queue, queue_app

CONTAINERS = (10, 50, 100, 200)
TASKS = (1, 10, 100, 1_000, 10_000)
FLEETS = (100, 1_000, 10_000, 100_000)
QUIET_S = 2.0


def on_one_engine(count: int, witness: Witness, floor: Floor) -> dict[str, float]:
    """From 1 to so many containers, and back: seconds."""
    name = f"{MINE}-many"
    ids = floor.start("many", 1)
    witness.wait(**{name: 1})
    began = now()
    ids += floor.start("many", count - 1)
    result = {"floor up": witness.wait(**{name: count}) - began}
    time.sleep(QUIET_S)
    began = now()
    floor.stop(ids[1:])
    result["floor down"] = witness.wait(**{name: 1}) - began
    floor.remove(ids)
    witness.wait(**{name: 0})
    with tempfile.TemporaryDirectory() as folder:
        queue = Queue(Path(folder))
        with OurAgent([queue_app("many", queue, count)], count):
            witness.wait(**{name: 1})
            time.sleep(QUIET_S)
            began = now()
            queue.put(1_000_000)
            result["ours up"] = witness.wait(**{name: count}) - began
            time.sleep(QUIET_S)
            began = now()
            queue.put(0)
            result["ours down"] = witness.wait(**{name: 1}) - began
        witness.wait(**{name: 0})
    return result


def calculation(count: int) -> dict[str, float]:
    """One calculation over so many tasks: milliseconds."""
    return {
        name: 1000 * statistics.median(bench_scaling.times_s(make(count), 15, decide))
        for name, make, decide in bench_scaling.CASES
    }


def fleet(count: int) -> dict[str, float]:
    """What so many containers on one engine cost the agent itself: milliseconds an event, a listing."""
    tasks = Tasks([Task(f"t{i}", max_containers=count) for i in range(10)], count)
    made = ContainerReconciler(tasks)
    listing = Listing(made)
    there = [ListedContainer(f"c{i}", f"t{i % 10}", State.RUNNING, float(i), f"n{i}") for i in range(count)]
    first = _ms(lambda: listing.apply(listing.ask(), there, 0.0))
    again = _ms(lambda: listing.apply(listing.ask(), there, 1.0))
    event = Event("start", "c5", "t5", "n5")
    return {"adopt": first, "listing": again, "event": _ms(lambda: made.on_event(event, 2.0), 5)}


def message(count: int) -> dict[str, float]:
    """What a monitor sends of so many tasks every 500 ms: milliseconds to write, kilobytes."""
    tasks = [Task(f"task-{i}", running=10, requested=10) for i in range(count)]

    def write() -> str:
        return metrics_message("user", map(task_metrics, tasks), 1_500_000_000)

    return {"ms": _ms(write, 5), "kB": len(write()) / 1000}


def _ms(work: Callable[[], object], times: int = 1) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return 1000 * statistics.median(taken)


def table(title: str, rows: dict[int, dict[str, float]]) -> str:
    names = list(next(iter(rows.values())))
    lines = [f"| {title} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for count, row in rows.items():
        lines.append(f"| {count:,} | {' | '.join(f'{row[name]:.3g}' for name in names)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench.curves")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    asked = parser.parse_args()
    client = connect()
    clean(client)
    witness = Witness(client)
    try:
        curves = {
            "containers on one engine (s)": {n: on_one_engine(n, witness, Floor(client)) for n in CONTAINERS},
            "tasks in a calculation (ms)": {n: calculation(n) for n in TASKS},
            "containers in a fleet (ms)": {n: fleet(n) for n in FLEETS},
            "tasks in a message to a server": {n: message(n) for n in TASKS},
        }
    finally:
        witness.close()
        clean(client)
        client.close()
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "curves.json").write_text(json.dumps(curves, indent=1) + "\n")
    for title, rows in curves.items():
        print(table(title, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
