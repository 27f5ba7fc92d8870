"""Operations that fail: their messages, and the containers that keep their places by that."""

from __future__ import annotations

import logging

from microscaling.errors import PermanentError
from microscaling.scheduler.containers.backend import BackendUnavailable
from microscaling.scheduler.containers.container import Operation, Work
from microscaling.scheduler.containers.ends import Ends
from microscaling.scheduler.containers.inventory import Inventory

log = logging.getLogger("mssscheduler")


class Failures:
    """Takes the failures of all operations that make, start, stop or remove a container."""

    def __init__(self, inventory: Inventory, ends: Ends) -> None:
        self.inventory = inventory
        self.ends = ends

    def take(self, operation: Operation, error: Exception, now: float) -> None:
        """Takes one: no further operation until a listing has shown the container, and not at once."""
        container, ends = operation.container, self.ends
        if operation.work in (Work.CREATE, Work.START) and not isinstance(error, BackendUnavailable):
            ends.unanswered(operation, error, now)
        else:
            say_failed(operation, error, ends, now)
        container.stubborn = container.stubborn or does_not_end(operation, error, ends, now)
        # Only for paused ones: others may be at a job, and must not lose their grace.
        refused = isinstance(error, PermanentError) and operation.work is Work.STOP
        container.refused = refused and container.paused
        # At the end of the agent, that one is removed by force at once.
        container.unknown = not (container.refused and self.inventory.draining)
        container.start_unconfirmed = container.start_unconfirmed or operation.work is Work.START
        container.failures += 1
        if container.unknown:
            container.not_before = now + min(30.0, 0.5 * 2.0 ** min(container.failures, 8))


def say_failed(operation: Operation, error: Exception, ends: Ends, now: float) -> None:
    """Logs once that a container does not stop, or cannot be removed; the counter logs an outage of the
    engine."""
    # A stop that fails is repeated for hours, with the same message.
    container = operation.container
    refused = isinstance(error, PermanentError)
    lasting = refused or (operation.work is Work.STOP and does_not_end(operation, error, ends, now))
    first = lasting and not container.stubborn
    name, work, id = container.task.name, operation.work.value, container.short_id
    log.log(logging.WARNING if first else logging.DEBUG, "%s: cannot %s %s: %s", name, work, id, error)


def does_not_end(operation: Operation, error: Exception, ends: Ends, now: float) -> bool:
    """True if the container keeps its place for an unknown time."""
    # An engine that is away, or answers nothing at all, keeps every place just as long, so no other task
    # could use one.
    if operation.work not in (Work.STOP, Work.REMOVE) or isinstance(error, BackendUnavailable):
        return False
    return not ends.engine_hangs(operation.container, error, now)
