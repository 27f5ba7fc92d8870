"""MSS_DRY_RUN: counts the existing containers, then only logs the changes that would be made."""

from __future__ import annotations

import logging

from microscaling.demand.change import Change
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.base import Scheduler
from microscaling.scheduler.toy import ToyScheduler

log = logging.getLogger("mssscheduler")


class DryRunScheduler(ToyScheduler):
    """Counts once with the real scheduler, then pretends that every demand is met at once."""

    def __init__(self, real: Scheduler) -> None:
        self.real = real
        self.counted = False

    def init_scheduler(self, task: Task) -> None:
        """Only logs the preparation."""
        # The real scheduler would pull the image, and a dry run must change nothing.
        if self.real.prepares:
            log.info("dry run: would prepare %s (image %s)", task.name, task.image or "none")

    def stop_start_tasks(self, tasks: Tasks) -> None:
        with tasks:
            steps = [(t.name, t.requested, t.demand) for t in tasks.tasks if t.requested != t.demand]
        for name, now, then in steps:
            verb = "start" if then > now else "stop"
            log.info("dry run: would %s %d of %s (%d -> %d)", verb, abs(then - now), name, now, then)
        super().stop_start_tasks(tasks)

    def count_all_tasks(self, tasks: Tasks) -> None:
        if self.counted:
            super().count_all_tasks(tasks)
            return
        self.real.count_all_tasks(tasks)
        self.real.cleanup()  # its further counts would contradict the pretended ones
        self.counted = True

    def idle(self, tasks: Tasks) -> bool:
        """True: nothing is ever under way."""
        return True

    def change_tasks(self, tasks: Tasks, change: Change) -> None:
        with tasks:
            known = {task.name for task in tasks.tasks}
        for name in [task.name for task in change.tasks if task.name not in known]:
            log.info("dry run: %s: the containers that it has are not counted, as it is new", name)
        super().change_tasks(tasks, change)

    def drain(self, tasks: Tasks) -> None:
        super().drain(tasks)
        super().count_all_tasks(tasks)

    def cleanup(self) -> None:
        if not self.counted:
            self.real.cleanup()
