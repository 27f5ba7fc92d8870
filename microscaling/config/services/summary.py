"""What was read in the labels of a service, and what follows from it, in a line for a person."""

from __future__ import annotations

from microscaling.demand.task import Task
from microscaling.target.base import Target
from microscaling.utils.text import span


def summary_of(task: Task, running: int) -> str:
    """Returns the line about a task whose service has so many containers that run."""
    words = " and ".join(map(_words, task.target.rules or (task.target,)))
    sources = ", ".join(source.name for source in task.metric.sources)
    measured = f" for {sources}" if sources else ""
    least, most = task.min_containers, task.max_containers
    future = f"stays at {most}" if least == most else f"will have {least} to {most}"
    line = f"{words}{measured}, priority {task.priority}: has {running} now, and {future} containers"
    if task.busy is not None and task.busy.implied and task.drain is not None:
        line += (
            f"; {task.metric.type_name} shows which have a job: the idle go first, and the others have "
            f"{span(task.drain.seconds)} to end it (microscaling.busy=none: no difference)"
        )
    return line


def _words(rule: Target) -> str:
    length = getattr(rule, "length", None)
    return type(rule).type_name + ("" if length is None else f" with target {length}")
