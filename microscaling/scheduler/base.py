"""The interface of a scheduler, as the agent calls it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.utils.threads import StoppableThread


class Scheduler(ABC):
    """Starts and stops containers until the running ones match the demand.

    Only the scheduler writes `requested` and `running` of a task (containers). It writes with the lock of
    `Tasks` held, and does no I/O under that lock.
    """

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

    def next_retry(self) -> float | None:
        """Returns the time at which `stop_start_tasks` is due without a change of demand (time.monotonic()
        seconds)."""
        return None

    def drain(self, tasks: Tasks) -> None:
        """Begins to stop all containers, even those of held tasks; returns without waiting for it."""
        with tasks:
            for task in tasks.tasks:
                task.demand = 0
        self.stop_start_tasks(tasks)

    def leave(self, tasks: Tasks) -> None:
        """Leaves the running containers as they are: it only finishes the stops under way, and removes
        containers that were created and not started. Returns without waiting for it."""

    def idle(self, tasks: Tasks) -> bool:
        """True if the work of `drain` or `leave` is done."""
        with tasks:
            return tasks.exited()

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
