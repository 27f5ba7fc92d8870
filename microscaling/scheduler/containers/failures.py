"""Operations that fail: their messages, and the containers that keep their places by that."""

from __future__ import annotations

import logging

from microscaling.errors import PermanentError
from microscaling.scheduler.containers.backend import BackendUnavailable
from microscaling.scheduler.containers.container import Operation, Work
from microscaling.scheduler.containers.ends import Ends

log = logging.getLogger("mssscheduler")


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
