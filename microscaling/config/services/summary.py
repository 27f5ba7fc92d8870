"""What was read in the labels of a service, and what follows from it, in a line for a person."""

from __future__ import annotations

from microscaling.demand.task import Task


def summary_of(task: Task, running: int) -> str:
    """Returns the line about a task whose service has so many containers that run."""
    rule = type(task.target).type_name
    length = getattr(task.target, "length", None)
    target = "" if length is None else f" with target {length}"
    sources = ", ".join(source.name for source in task.metric.sources)
    measured = f" for {sources}" if sources else ""
    least, most = task.min_containers, task.max_containers
    future = f"stays at {most}" if least == most else f"will have {least} to {most}"
    return f"{rule}{target}{measured}, priority {task.priority}: has {running} now, and {future} containers"
