"""What is run for a task, and in what environment."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping

from microscaling.demand.task import Task
from microscaling.errors import PermanentError


def environment(task: Task, environ: Mapping[str, str]) -> dict[str, str]:
    """The agent's, and over it the task's."""
    return {**environ, **dict(variable.partition("=")[::2] for variable in task.env)}


def words(task: Task, environ: Mapping[str, str]) -> list[str]:
    """The command split as a shell would, the first word the program's path; raises PermanentError."""
    try:
        argv = shlex.split(task.command)
    except ValueError as error:
        raise PermanentError(f"the command {task.command!r} cannot be read: {error}") from None
    if not argv:
        raise PermanentError("has no command; MSS_SCHEDULER=PROCESS runs config.command")
    path = shutil.which(argv[0], path=environment(task, environ).get("PATH", os.defpath))
    if path is None:
        what = "is not an executable file" if os.path.exists(argv[0]) else "is not there"
        raise PermanentError(f"the command {argv[0]!r} {what}")
    return [path, *argv[1:]]
