"""The interface of a scheduler, as the agent calls it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from microscaling.demand import limits
from microscaling.demand.change import Change
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import PermanentError
from microscaling.plugins import Group, Variable
from microscaling.settings import Settings
from microscaling.utils.finding import Finding
from microscaling.utils.threads import StoppableThread


class Scheduler(ABC):
    """Starts and stops containers until the running ones match the demand.

    Only the scheduler writes `requested` and `running` of a task (containers). It writes with the lock of
    `Tasks` held, and does no I/O under that lock.
    """

    takes_changes = False
    """Tasks may come, change and go while it runs: `change_tasks` can be called."""
    prepares = True
    """False if there is nothing to prepare, such as an image to pull."""
    sole = False
    """No other agent can have the containers that it finds, so none but this one ends them."""

    @abstractmethod
    def init_scheduler(self, task: Task) -> None:
        """Prepares one task, once, before its first start, and logs everything that is missing.

        Raises TemporaryError while the backend is unavailable, PermanentError if it can never run the task.
        """

    @abstractmethod
    def stop_start_tasks(self, tasks: Tasks) -> None:
        """Begins the changes that `demand` requires; returns without waiting for them."""

    @abstractmethod
    def count_all_tasks(self, tasks: Tasks) -> None:
        """Updates `requested` and `running` of every task. The first call adopts the existing containers:
        demand = requested = running. Raises TemporaryError if they cannot be counted now."""

    def change_tasks(self, tasks: Tasks, change: Change) -> None:
        """Takes over a change of the configuration: of a new task demand = requested = running, as at the
        start. Raises TemporaryError, without any effect, if its containers cannot be counted now."""
        with tasks:
            limits.reconfigure(tasks, change)

    def restart(self, tasks: Tasks, name: str) -> int:
        """Has all containers of a task replaced, a few at a time; returns how many. Raises PermanentError if
        it cannot."""
        raise PermanentError("this scheduler creates no containers: restart them with its own command")

    def next_retry(self) -> float | None:
        """Returns the time at which `stop_start_tasks` is due without a change of demand (time.monotonic()
        seconds)."""
        return None

    def halt(self, tasks: Tasks) -> None:
        """Takes the request to end, before `drain` or `leave`, as soon as it comes: from now on nothing is
        created. Returns without waiting for anything."""

    def drain(self, tasks: Tasks) -> None:
        """Begins to stop all containers, even those of held tasks; returns without waiting for it."""
        with tasks:
            limits.end(tasks)
        self.stop_start_tasks(tasks)

    def leave(self, tasks: Tasks) -> None:
        """Leaves the running containers as they are: it only finishes the stops under way, and removes
        containers that were created and not started. Returns without waiting for it."""

    def idle(self, tasks: Tasks) -> bool:
        """True if the work of `drain` or `leave` is done."""
        with tasks:
            return tasks.exited()

    def at_work(self, name: str) -> int | None:
        """Returns how many of some containers of the task with that name are at work now; None if that cannot
        be found out. May ask the backend."""
        return None

    def left(self) -> list[str]:
        """Describes the containers that may be left behind if the agent ended now, for a person."""
        return []

    @property
    def threads(self) -> list[StoppableThread]:
        """The threads that must live as long as the scheduler."""
        return []

    @abstractmethod
    def cleanup(self) -> None:
        """Releases threads, sockets and files. The containers go on."""


@dataclass(frozen=True)
class SchedulerPlugin:
    """A scheduler that MSS_SCHEDULER can name; it is found as microscaling.plugins describes.

    Its module imports the scheduler and the libraries only inside these functions: all declarations are
    imported to list the schedulers.
    """

    type_name: str
    summary: str
    """The things that it scales, in a few words: "local processes"."""
    make: Callable[[Settings, Mapping[str, str]], Scheduler]
    """Returns the scheduler for these settings and environment variables. Raises ConfigError."""
    creates_containers: bool = False
    """It creates containers and gives them an environment; other schedulers scale existing ones, with the
    environment that these have."""
    noun: str = "container"
    """One of the things that run, in messages to people."""
    check: Callable[[Iterable[Task]], None] | None = None
    """Raises ConfigError with everything in the tasks that this scheduler cannot run."""
    takes: Callable[[str], bool] = lambda word: False
    """Whether it can do a key of `config` such as read_only or directory. Others are refused: without them
    the container would be another one."""
    check_drain: Callable[[Task], Iterable[str]] | None = None
    """Yields everything in `drain` and the busy keys of a task that it cannot do; None: it cannot choose the
    container that goes, and those keys are refused."""
    takes_names: bool = False
    """It can list containers of web tasks late in DNS, and unlist them early; else `web` is refused."""
    freezes: bool = False
    """It can freeze containers and let them go on; else `yield: pause` is refused."""
    version: Callable[[Task], str] | None = None
    """Returns a text that stands for all that a container of a task is made from, without what the agent's
    own environment adds: with another one it is replaced. None: it creates none."""
    prepare: Callable[[Settings, Mapping[str, str]], Settings] | None = None
    """Called before anything else is made: returns the settings with the parts that the scheduler has to find
    out first, such as the engine's address. Raises ConfigError."""
    variables: tuple[Variable, ...] = ()
    """The environment variables that it reads, apart from the settings."""
    meets_in_folder: bool = False
    """The agents that share a lease meet in MSS_STATE_DIR; else it is an affair of the scheduler."""
    examine: Callable[[Settings, Mapping[str, str], Tasks], Iterable[Finding]] | None = None
    """For `microscaling check`: looks at the backend and at all that the tasks need of it, such as images,
    and changes nothing there. Sets `running`, `requested` and `demand` of the tasks to the containers that it
    finds."""


def _is_scheduler(found: Any) -> bool:
    return isinstance(found, SchedulerPlugin)


SCHEDULERS: Group[SchedulerPlugin] = Group("scheduler", "microscaling.scheduler", _is_scheduler)
"""By MSS_SCHEDULER."""
