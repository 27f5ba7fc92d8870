"""The keys for busy and for warm containers that a scheduler of containers cannot do."""

from __future__ import annotations

from collections.abc import Iterator

from microscaling.demand.drain import Way
from microscaling.demand.task import Task

IN_PATH = "{number}"
"""Stands in the path of such a file for the number of a process."""
BUSY_FILE, READY_FILE, GO_FILE = "MSS_BUSY_FILE", "MSS_READY_FILE", "MSS_GO_FILE"
"""The variables of a process with the paths of its own."""


def of_containers(task: Task) -> Iterator[str]:
    """Yields the mistakes of a task with containers."""
    if task.busy is not None and IN_PATH in task.busy.path:
        yield f"config.busyFile: {IN_PATH} is for local processes: each container has files of its own"

    for place, path in _files_of(task):
        if IN_PATH in path:
            yield f"config.{place}: {IN_PATH} is for local processes: each container has files of its own"


def of_processes(task: Task) -> Iterator[str]:
    """Yields the mistakes of a task with local processes."""
    if task.busy is not None and task.busy.way is Way.FILE and IN_PATH not in task.busy.path:
        yield (
            f"config.busyFile: needs {IN_PATH}, as all processes have the same files: /tmp/busy-{IN_PATH}; "
            f"each gets its path as {BUSY_FILE}"
        )
    if task.busy is not None and task.busy.way is Way.SOURCE:
        yield "config.busy: local processes all have the host name of the machine: use busyFile"
    if task.warm is not None and not (task.warm.after or task.warm.stops):
        yield (
            "config.warmAfter: local processes have no health check: use {file: /tmp/ready-{number}} or "
            "{signal: STOP}"
        )
    if task.warm is not None and task.warm.signal == "CONT" and not task.warm.stops:
        # It is thawed by this signal, and perhaps frozen again: a program that goes on then has a job.
        yield (
            "config.go.signal: CONT ends the stop of a local process, so it is no sign: use URG or file, or "
            "warmAfter: {signal: STOP}"
        )
    for place, path in _files_of(task):
        if IN_PATH not in path:
            name = READY_FILE if place == "warmAfter.file" else GO_FILE
            yield (
                f"config.{place}: needs {IN_PATH}, as all processes have the same files; each gets its path "
                f"as {name}"
            )
    # All processes of the machine share its addresses, so one would answer for all.
    hook = task.drain.hook if task.drain is not None else None
    probe = task.busy.call if task.busy is not None else None
    for place, call in (("busyProbe", probe), ("drain.hook", hook)):
        if call is not None and call.port:
            yield (
                f"config.{place}: local processes have no addresses of their own: use exec, or busyFile in "
                "place of a probe"
            )


def _files_of(task: Task) -> Iterator[tuple[str, str]]:
    """Yields the keys for files of the handshake, with their paths."""
    if task.warm is not None and task.warm.after:
        yield "warmAfter.file", task.warm.after
    if task.warm is not None and task.warm.file:
        yield "go.file", task.warm.file
