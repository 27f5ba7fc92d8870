"""The calls to a backend before and after the end of a container."""

from __future__ import annotations

import logging

from microscaling.demand.drain import Call
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers.backend import Backend
from microscaling.scheduler.containers.container import Container, Operation, Work
from microscaling.secrets.environment import secrets_in
from microscaling.secrets.masking import mask

log = logging.getLogger("mssscheduler")


CALLS = (Work.FREEZE, Work.THAW, Work.QUIET, Work.RESUME, Work.READY, Work.GO, Work.WEIGH)


def call(backend: Backend, operation: Operation) -> str:
    """Freezes or thaws a container, asks it to take no new job, or to take jobs again, or tells it go.
    Returns its memory, if that was the question, else an empty text."""
    if operation.work is Work.FREEZE:
        backend.freeze(operation.container.id)
    elif operation.work is Work.THAW:
        backend.thaw(operation.container.id)
    elif operation.work is Work.READY:
        backend.check_ready(operation.container.task, operation.container.id)
    elif operation.work is Work.GO:
        backend.say_go(operation.container.task, operation.container.id)
    elif operation.work is Work.WEIGH:
        return str(backend.memory(operation.container.id))
    else:
        _quiet_or_resume(backend, operation)
    return ""


def _quiet_or_resume(backend: Backend, operation: Operation) -> None:
    container, options = operation.container, operation.container.task.drain
    if options is None:
        return
    quiet = operation.work is Work.QUIET
    # The configuration may have changed since it was planned, and then the new one counts.
    signal = options.signal if quiet else options.resume_signal
    call = options.hook if quiet else Call(options.resume_exec) if options.resume_exec else None
    if signal:
        backend.signal(container.id, signal)
    elif call is not None:
        backend.call(container.task, container.id, call)


def log_last_words(backend: Backend, container: Container, tasks: Tasks) -> None:
    """Logs the last lines of a container that ended by itself, once."""
    if not container.unexpected_exit:
        return
    container.unexpected_exit = False  # a removal may be repeated
    words = mask(backend.last_log_lines(container.id), secrets_in(container.task.env)).strip()
    failure = container.task.failure
    if failure and failure.exit_code == container.exit_code:
        with tasks:
            failure.lines = words
    code = "?" if container.exit_code is None else container.exit_code
    log.info("%s: %s %s: exit code %s, last lines: %s", container.task.name, tasks.noun, container.short_id,
             code, words or "(none)")  # fmt: skip
