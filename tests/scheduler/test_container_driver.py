"""The threads around a fleet: nothing waits for the next listing that need not."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from microscaling.agent import Agent
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.local import LocalEngine
from microscaling.errors import TemporaryError
from microscaling.scheduler.containers import driver as runner
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.process.backend import ProcessBackend
from microscaling.target.remainder import RemainderTarget
from tests.scheduler.processes import wait_for


class Unanswered(ProcessBackend):
    """Does not answer the first start."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.starts = 0

    def start(self, id: str) -> None:
        self.starts += 1
        if self.starts == 1:
            raise TemporaryError("no answer")
        super().start(id)


def test_what_is_to_be_tried_again_later_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LIST_EVERY_S", 3600.0)
    backend = Unanswered(str(tmp_path / "state"))
    task = Task("a", command="sleep 300", target=RemainderTarget(1), min_containers=1, max_containers=1)
    agent = Agent(Tasks([task], 1), LocalEngine(), ContainerScheduler(backend))
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        wait_for(lambda: task.running == 1)
        assert backend.starts == 2
    finally:
        agent.stop()
        thread.join(60)
    assert not thread.is_alive()
