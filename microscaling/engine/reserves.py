"""Reserves: containers that a task gets before more important tasks, if it wants them.

Pure; the caller holds the lock of `Tasks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from microscaling.demand.reason import OF_RESERVE
from microscaling.demand.tasks import Tasks
from microscaling.engine.shares import wish


@contextmanager
def reserved(tasks: Tasks) -> Iterator[None]:
    """Within it each task has a minimum of as many containers as it wants, up to its reserve."""
    # So the allocation and the guard treat a reserve as they treat a minimum, and no rule is written twice.
    raised = []
    for task in tasks.tasks:
        if task.reserve:
            # Without a reading it is not known what it wants, so it keeps what it has.
            least = min(task.reserve, task.demand if task.held else wish(task))
            if least > task.min_containers:
                raised.append((task, task.min_containers, task.reason))
                task.min_containers = least
    try:
        yield
    finally:
        for task, least, before in raised:
            task.min_containers = least
            reason = task.reason
            if reason is not None and reason is not before:
                reason.rule = OF_RESERVE.get(reason.rule, reason.rule)
