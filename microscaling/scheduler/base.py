"""What the agent asks of a scheduler."""

from __future__ import annotations

from abc import ABC, abstractmethod

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.utils.threads import StoppableThread


class Scheduler(ABC):
    """Brings what runs in line with what is demanded.

    Only the scheduler writes `requested` and `running` of a task (containers), always with the lock
    of `Tasks` held, and never does it wait for anything outside while it holds it.
    """

    @abstractmethod
    def init_scheduler(self, task: Task) -> None:
        """Prepares for one task, once, before anything of it is started. Says what is missing.

        Raises TemporaryError if what runs the containers is away, PermanentError if it never will
        do what the task needs.
        """

    @abstractmethod
    def stop_start_tasks(self, tasks: Tasks) -> None:
        """Sets going whatever `demand` and what is there differ in; returns without waiting for it."""

    @abstractmethod
    def count_all_tasks(self, tasks: Tasks) -> None:
        """Makes `requested` and `running` of every task true. The first call adopts what is there:
        demand = requested = running. Raises TemporaryError if it cannot be counted now."""

    def next_retry(self) -> float | None:
        """When `stop_start_tasks` is due again though no demand changed: time.monotonic() seconds."""
        return None

    def drain(self, tasks: Tasks) -> None:
        """Asks for everything to stop, whatever holds the tasks; returns without waiting for it."""
        with tasks:
            for task in tasks.tasks:
                task.demand = 0
        self.stop_start_tasks(tasks)

    def leave(self, tasks: Tasks) -> None:
        """Leaves what runs as it is: only finishes the stops under way, and removes what was created
        but not started. Returns without waiting for it."""

    def idle(self, tasks: Tasks) -> bool:
        """Whether what `drain` or `leave` has asked for is done."""
        with tasks:
            return tasks.exited()

    def left(self) -> list[str]:
        """What may be left behind if the agent ended now, for a person to read."""
        return []

    @property
    def threads(self) -> list[StoppableThread]:
        """The threads that must live as long as the scheduler."""
        return []

    @abstractmethod
    def cleanup(self) -> None:
        """Lets go of threads, sockets and files. Stops nothing that runs."""
