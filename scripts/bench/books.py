"""What a fleet costs the agent's own books: seconds of processor time.

    python scripts/bench/books.py TREE COUNT    of the sources in TREE, as JSON

A process of its own measures each build, as `scripts.bench` does beside an earlier one.
"""

from __future__ import annotations

import json
import subprocess  # nosec: runs this file
import sys
import time
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.reconciler import ContainerReconciler

TASKS = 10
TIMES = 25


def fleet(count: int) -> ContainerReconciler:
    """So many containers of some tasks that have run for a while."""
    tasks = Tasks(
        [Task(f"t{i}", demand=count // TASKS, max_containers=count) for i in range(TASKS)], 2 * count
    )
    made = ContainerReconciler(tasks)
    listing = Listing(made)
    there = [
        ListedContainer(f"c{i}", f"t{i % TASKS}", State.RUNNING, float(i), f"n{i}") for i in range(count)
    ]
    listing.apply(listing.ask(), there, 0.0)
    made.acting = True
    made.reconcile(1.0)
    return made


def costs_s(count: int) -> dict[str, float]:
    """The least time of one event, and of the questions that follow it, with so many containers known."""
    made = fleet(count)
    event = Event("start", "c5", "t5", "n5")
    work: dict[str, Callable[[], object]] = {
        "event": lambda: made.on_event(event, 2.0),
        "room": made.room,
        "next_due": made.next_due,
        "start_parked": lambda: made.start_parked(2.0),
    }
    return {name: min(_took_s(each) for _ in range(TIMES)) for name, each in work.items()}


def measured(tree: Path, count: int) -> dict[str, float]:
    """The same of the sources in a folder. Raises CalledProcessError."""
    command = [sys.executable, __file__, str(tree), str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # nosec: this file
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _took_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    print(json.dumps(costs_s(int(sys.argv[2]))))
