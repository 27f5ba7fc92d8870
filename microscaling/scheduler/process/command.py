"""The command and the environment of a task's processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping

from microscaling.demand.drain_checks import BUSY_FILE, GO_FILE, READY_FILE
from microscaling.demand.task import Task
from microscaling.errors import PermanentError
from microscaling.scheduler.process.account import Account, NoAccount, account_of
from microscaling.scheduler.process.program import INHERIT, Program
from microscaling.utils import shell_words
from microscaling.utils.text import quoted


def environment(task: Task, environ: Mapping[str, str], account: Account | None = None) -> dict[str, str]:
    """Returns the agent's environment, overridden by that of the user, and by the task's."""
    own = dict(variable.partition("=")[::2] for variable in task.env)
    return {**environ, **(account.environment if account else {}), **own}


def impossible(task: Task) -> Iterator[str]:
    """Yields each reason, with the remedy, why the task can never run as intended."""
    if problem := unreadable(task):
        yield problem
    try:
        account_of(task.container.user)
    except NoAccount as error:
        yield str(error)


def program(task: Task, environ: Mapping[str, str]) -> Program:
    """Returns the program of a task. Raises PermanentError."""
    options = task.container
    if options.directory and not os.path.isdir(options.directory):
        raise PermanentError(f"directory: there is no folder {quoted(options.directory)}")
    try:
        account = account_of(options.user)
    except NoAccount as error:
        raise PermanentError(str(error)) from None
    argv, env = words(task, environ), environment(task, environ, account)
    output = options.output
    if output and output != INHERIT:
        output = os.path.join(os.path.abspath(options.directory), output)
        if not os.path.isdir(os.path.dirname(output)):
            raise PermanentError(f"output: there is no folder for {quoted(output)}")
    return Program(argv, env, options.directory, account, output, _files(task))


def _files(task: Task) -> dict[str, str]:
    """Returns the paths of the files of a task's processes, by variable."""
    warm = task.warm
    found = {
        BUSY_FILE: task.busy.path if task.busy is not None else "",
        READY_FILE: warm.after if warm is not None else "",
        GO_FILE: warm.file if warm is not None else "",
    }
    return {name: path for name, path in found.items() if path}


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
    name = argv[0]
    if task.container.directory and os.path.dirname(name):  # the program is looked for from there
        name = os.path.join(os.path.abspath(task.container.directory), name)
    path = shutil.which(name, path=environment(task, environ).get("PATH", os.defpath))
    if path is None:
        what = "is not an executable file" if os.path.exists(name) else "is not there"
        raise PermanentError(f"the command {argv[0]!r} {what}")
    return [path, *argv[1:]]
