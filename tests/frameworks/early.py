"""An engine that has nothing but notifications: its next beat is minutes away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.local import LocalEngine
from microscaling.metric.base import Metric
from microscaling.target.per_container import PerContainerTarget
from tests.services.service import wait_for

LISTENS = (
    "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND state = 'idle' "
    "AND datname = current_database()"
)
"""Connections of which the command has been carried out: from then on none is missed."""


@contextmanager
def only_early(metric: Metric) -> Iterator[Task]:
    """A task without containers, after the first beat."""
    for source in metric.sources:
        source.limit(30)  # one look is all that it gets, also on a busy machine
    task = Task("jobs", 0, 0, 0, max_containers=9, max_delta=9, metric=metric, target=PerContainerTarget(1))
    engine, slot = LocalEngine(beat_s=600), Queue[bool | None](maxsize=1)
    engine.get_demand(Tasks([task], 9), slot)
    try:
        assert engine.decided.wait(30)
        yield task
    finally:
        engine.stop_demand(slot)


def looked_at_once(metric: Metric, do: Callable[[str], Any], put: Callable[[], object]) -> None:
    """Fails if a notification of the jobs that `put` makes is not heard. `do` executes a statement."""
    with only_early(metric) as task:
        wait_for(lambda: len(do(LISTENS)) == 1)
        put()
        wait_for(lambda: task.demand > 0)
