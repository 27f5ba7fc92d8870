"""NOTE and DIARY: a source of configurations and a monitor, each a file that a variable names."""

from __future__ import annotations

from pathlib import Path

from microscaling.api.apps import apps_from_data
from microscaling.clients.websocket.connection import Connection
from microscaling.config.base import Config, ConfigPlugin, problems_of
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.monitor.base import Monitor, MonitorPlugin
from microscaling.plugins import Variable
from microscaling.settings import Settings

NOTE = Variable("NOTE_PATH", "the file that NOTE reads")
DIARY = Variable("DIARY_PATH", "the file that DIARY writes", default="diary")


class NoteConfig(Config):
    """The tasks in a file."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        path = NOTE.read()
        with problems_of(path):
            return apps_from_data(Path(path).read_bytes(), self.settings)


class DiaryMonitor(Monitor):
    """Writes the last state of all tasks to a file."""

    def send_metrics(self, tasks: Tasks) -> None:
        with tasks:
            lines = [f"{task.name} runs {task.running}\n" for task in tasks.tasks]
        Path(DIARY.read()).write_text("".join(lines), "utf-8")


def make_diary(settings: Settings, connection: Connection | None) -> Monitor:
    """Returns the monitor, which needs no connection to the server."""
    return DiaryMonitor()


CONFIG = ConfigPlugin("NOTE", "a note in a file", NoteConfig, variables=(NOTE,))
MONITOR = MonitorPlugin("DIARY", "a diary", make_diary, variables=(DIARY,))
