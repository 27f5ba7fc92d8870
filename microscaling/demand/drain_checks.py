"""The keys for busy containers that a scheduler of containers cannot do."""

from __future__ import annotations

from collections.abc import Iterator

from microscaling.demand.drain import Way
from microscaling.demand.task import Task

IN_PATH = "{number}"
"""Stands in the path of a busy file for the number of a process."""


def of_containers(task: Task) -> Iterator[str]:
    """Yields the mistakes of a task with containers."""
    if task.busy is not None and IN_PATH in task.busy.path:
        yield f"config.busyFile: {IN_PATH} is for local processes: each container has files of its own"


def of_processes(task: Task) -> Iterator[str]:
    """Yields the mistakes of a task with local processes."""
    if task.busy is not None and task.busy.way is Way.FILE and IN_PATH not in task.busy.path:
        yield (
            f"config.busyFile: needs {IN_PATH}, as all processes have the same files: /tmp/busy-{IN_PATH}; "
            "each gets its path as MSS_BUSY_FILE"
        )
    if task.busy is not None and task.busy.way is Way.SOURCE:
        yield "config.busy: local processes all have the host name of the machine: use busyFile"
    # All processes of the machine share its addresses, so one would answer for all.
    hook = task.drain.hook if task.drain is not None else None
    probe = task.busy.call if task.busy is not None else None
    for place, call in (("busyProbe", probe), ("drain.hook", hook)):
        if call is not None and call.port:
            yield (
                f"config.{place}: local processes have no addresses of their own: use exec, or busyFile in "
                "place of a probe"
            )
