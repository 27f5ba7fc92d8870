"""A scheduler without containers: every demand is met at once."""

from __future__ import annotations

from collections.abc import Mapping

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.base import Scheduler, SchedulerPlugin
from microscaling.settings import Settings


class ToyScheduler(Scheduler):
    """For trials of a configuration, and for tests."""

    takes_changes = True

    def init_scheduler(self, task: Task) -> None:
        """Does nothing."""

    def stop_start_tasks(self, tasks: Tasks) -> None:
        with tasks:
            for task in tasks.tasks:
                if task.requested != task.demand:
                    task.requested = task.demand
                    tasks.changed.set()

    def count_all_tasks(self, tasks: Tasks) -> None:
        with tasks:
            for task in tasks.tasks:
                if task.running != task.requested:
                    task.running = task.requested
                    tasks.changed.set()

    def cleanup(self) -> None:
        """Does nothing."""


def make(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """Returns a scheduler that needs nothing."""
    return ToyScheduler()


TYPE = SchedulerPlugin("TOY", "pretends", make, takes=lambda word: True)
