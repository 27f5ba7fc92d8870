"""MSS_SCHEDULER=PROCESS."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping

from microscaling.demand.drain_checks import of_processes
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import ConfigError, PermanentError
from microscaling.scheduler.base import Scheduler, SchedulerPlugin
from microscaling.scheduler.lease import LEASE, leaving
from microscaling.secrets.environment import own
from microscaling.settings import Settings
from microscaling.utils.finding import Finding, error


def prepare(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Returns the settings with the default that differs with a lease. Raises ConfigError."""
    return leaving(settings, environ)


def make(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """Returns a scheduler for processes of this machine."""
    from microscaling.scheduler.containers.driver import ContainerScheduler
    from microscaling.scheduler.containers.state_folder import default_folder
    from microscaling.scheduler.process.backend import ProcessBackend

    # The state folder's default depends on more of the environment than the processes get.
    folder = settings.state_dir or default_folder(environ)
    backend = ProcessBackend(folder, own(environ), alone=True)
    scheduler = ContainerScheduler(backend, settings.orphans == "stop", settings.exit_timeout_s)
    scheduler.sole = True  # by the lock of the folder
    scheduler.max_warm_bytes = float("inf") if settings.warm_memory is None else settings.warm_memory
    return scheduler


def check(tasks: Iterable[Task]) -> None:
    """Raises ConfigError with every command, and every user, that cannot run as a local process."""
    from microscaling.scheduler.process.command import impossible

    # A task that never gets a process may do without a command.
    problems = [f"{task.name}: {why}" for task in tasks if task.max_containers for why in impossible(task)]
    if problems:
        raise ConfigError(*problems)


def examine(settings: Settings, environ: Mapping[str, str], tasks: Tasks) -> Iterator[Finding]:
    """Looks for the programs. How many processes run is known to the agent that started them alone."""
    from microscaling.scheduler.process.command import program

    for task in tasks.tasks:
        if task.max_containers:
            try:
                program(task, own(environ))
            except PermanentError as failure:
                yield error(f"{task.name}: {failure}")


def version(task: Task) -> str:
    """Returns the version of a task: a hash of all that its processes are made from."""
    options, busy = task.container, task.busy.path if task.busy is not None else ""
    parts = [task.command, options.user, options.directory, options.output, busy, sorted(task.env)]
    # One that waits for go would wait for ever after a change of its handshake; one that has stopped itself
    # would work after a thaw.
    warm = task.warm
    shake = ["stops" if warm.stops else [warm.after, warm.file]] if warm is not None else []
    return hashlib.sha256(json.dumps([*parts, dict(options.request), *shake]).encode()).hexdigest()[:16]


def takes(word: str) -> bool:
    """True for the words of processes."""
    return word in ("user", "directory", "output", "stop_signal")


TYPE = SchedulerPlugin(
    "PROCESS",
    "local processes",
    make,
    creates_containers=True,
    noun="process",
    check=check,
    takes=takes,
    version=version,
    check_drain=of_processes,
    freezes=True,
    prepare=prepare,
    examine=examine,
    variables=(LEASE,),
    meets_in_folder=True,
)
