"""The command and the environment of a task's processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from microscaling.demand.task import Task
from microscaling.errors import PermanentError
from microscaling.scheduler.process import shell_words


def environment(task: Task, environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the agent's environment, overridden by the task's."""
    return {**environ, **dict(variable.partition("=")[::2] for variable in task.env)}


def unreadable(task: Task) -> str:
    """Returns the reason why the command can never run as intended, and the remedy; empty if it can."""
    try:
        argv = shell_words.split(task.command)
    except shell_words.OpenQuote as error:
        return f"the command {task.command!r} cannot be read: {error}"
    if not argv:
        only_image = ", and an image is no use to it" if task.image else ""
        return f"has no command; MSS_SCHEDULER=PROCESS runs config.command{only_image}"
    if not argv[0]:
        return f"the command {task.command!r} names no program: its first word is empty"
    found = shell_words.shell_feature(argv)
    if not found:
        return ""
    return (
        f"the command {task.command!r} needs a shell ({found}); MSS_SCHEDULER=PROCESS runs it without one: "
        "use `env NAME=value program` or `sh -c '...'`, or single quotes for literal text"
    )


def words(task: Task, environ: Mapping[str, str]) -> list[str]:
    """Splits the command as a shell would; the first word is the program's path. Raises PermanentError."""
    if problem := unreadable(task):
        raise PermanentError(problem)
    argv = [str(word) for word in shell_words.split(task.command)]
    # The PATH of the task counts, as the process will have it.
    path = shutil.which(argv[0], path=environment(task, environ).get("PATH", os.defpath))
    if path is None:
        what = "is not an executable file" if os.path.exists(argv[0]) else "is not there"
        raise PermanentError(f"the command {argv[0]!r} {what}")
    return [path, *argv[1:]]
