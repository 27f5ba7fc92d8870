"""PAPER: the sheets of each task are a number in a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import ConfigError
from microscaling.plugins import Variable
from microscaling.scheduler.base import Scheduler, SchedulerPlugin
from microscaling.settings import Settings

PATH = Variable("MSS_PAPER_PATH", "the file that PAPER writes")
KEY = Variable("MSS_PAPER_KEY", "the key of the drawer with the paper", default="none", secret=True)


class PaperScheduler(Scheduler):
    """Writes the number of each task's sheets to a file."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def init_scheduler(self, task: Task) -> None:
        """Does nothing: there is always paper."""

    def stop_start_tasks(self, tasks: Tasks) -> None:
        """Writes the file. Raises OSError."""
        with tasks:
            for task in tasks.tasks:
                task.requested = task.demand
            lines = [f"{task.name} {task.requested}\n" for task in tasks.tasks]
        # Without the lock, as a disk may hang.
        self.path.write_text("".join(lines), "utf-8")

    def count_all_tasks(self, tasks: Tasks) -> None:
        """Sets `running`: sheets are there as soon as they are written."""
        with tasks:
            for task in tasks.tasks:
                if task.running != task.requested:
                    task.running = task.requested
                    tasks.changed.set()

    def cleanup(self) -> None:
        """Does nothing."""


def make(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """Returns the scheduler. Raises ConfigError if there is no path."""
    path, key = PATH.read(environ), KEY.read(environ)
    if not path:
        raise ConfigError(f"MSS_PAPER_PATH: is missing (the drawer's key is {key})")
    return PaperScheduler(path)


def check(tasks: Iterable[Task]) -> None:
    """Raises ConfigError for tasks with an image: paper has none."""
    wrong = [f"{task.name}: paper has no image" for task in tasks if task.image]
    if wrong:
        raise ConfigError(*wrong)


TYPE = SchedulerPlugin("PAPER", "sheets of paper", make, noun="sheet", check=check, variables=(PATH, KEY))
