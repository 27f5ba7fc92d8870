"""The changes of demand that a scheduler brings about: adoption, other limits, back-off, probes and the end.

The engine decides at each beat; in between, a scheduler reports a fact here, and these rules of the decision
apply it at once. No other module may write `Task.demand`, apart from the engines and the server; a test holds
it. The caller holds the lock of `Tasks`.
"""

# At once, not at the next beat: the place of a failed container, or of a task that gives way to a probe,
# changes hands under the same lock. In between, another task would take it, and the cap would be exceeded.

from __future__ import annotations

import logging

from microscaling.demand.change import Change
from microscaling.demand.history import note
from microscaling.demand.reason import ABOVE_MAXIMUM, TRY, TRY_GAVE, TRY_TOOK, Reason
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks

log = logging.getLogger("mssdemand")


def adopt(task: Task, count: int) -> None:
    """Takes over the containers that were found: the first decision starts from them."""
    task.demand = count


def reconfigure(tasks: Tasks, change: Change) -> None:
    """Takes over a change of the configuration. A task above its new maximum gives the rest back at once; to
    a new minimum the next decision raises it, as far as the cap allows."""
    tasks.apply(change)
    names = {task.name for task in change.tasks}
    for task in tasks.tasks:
        before, most = task.demand, max(0, task.max_containers)
        if task.name in names and before > most:
            task.demand, task.reason = most, Reason(ABOVE_MAXIMUM, before, most)
            log.info("%s: %d -> %d (%s)", task.name, before, most, task.reason)
            note(task.history, before, task.demand, task.reason)


def hold_at(task: Task, count: int, why: str) -> bool:
    """Limits a task to the containers that it can have while it backs off. Returns True if its demand was
    another one."""
    if task.demand == count:
        return False
    before, task.demand = task.demand, count
    task.reason = Reason(why, before, count)
    note(task.history, before, task.demand, task.reason)
    return True


def try_again(task: Task, count: int, donor: Task | None) -> None:
    """Raises a task that backs off to `count`, for a probe: in a free place, or in the place of a donor."""
    before, more = task.demand, count - task.demand
    task.reason = Reason(TRY, before, count)
    if donor is not None:
        after = donor.demand - more
        had, donor.demand = donor.demand, after
        donor.reason = Reason(TRY_GAVE, had, after, more, 0, task.name)
        log.info("%s: %d -> %d (%s)", donor.name, had, after, donor.reason)
        note(donor.history, had, after, donor.reason)
        task.reason = Reason(TRY_TOOK, before, count, more, 0, donor.name)
    log.info("%s: %d -> %d (%s)", task.name, before, count, task.reason)
    task.demand = count
    note(task.history, before, task.demand, task.reason)


def end(tasks: Tasks) -> None:
    """Takes all containers from all tasks: the agent ends."""
    for task in tasks.tasks:
        task.demand = 0
