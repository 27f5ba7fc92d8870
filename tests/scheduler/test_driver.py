"""The driver: the same for containers and replicas."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.replicas.orchestrator import Found, Orchestrator, OrchestratorScheduler, Replicas

PATIENCE_S = 60.0


class Buggy(Orchestrator):
    """In memory; its first request meets a mistake in its own code."""

    name, what = "Buggy", "app"

    def __init__(self) -> None:
        self.count = 1
        self.asked = 0

    def read(self, names: Sequence[str]) -> Mapping[str, Found]:
        return {name: Replicas(self.count, self.count) for name in names}

    def scale(self, name: str, instances: int) -> None:
        self.asked += 1
        if self.asked == 1:
            raise KeyError("version")
        self.count = instances


@pytest.fixture
def scheduler() -> Iterator[OrchestratorScheduler]:
    scheduler = OrchestratorScheduler(Buggy())
    yield scheduler
    scheduler.cleanup()


def test_a_mistake_in_a_call_ends_no_thread(
    scheduler: OrchestratorScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = Tasks([Task("a")], 5)
    scheduler.count_all_tasks(tasks)
    tasks.tasks[0].demand = 3
    end = time.monotonic() + PATIENCE_S
    while tasks.tasks[0].running != 3 and time.monotonic() < end:
        scheduler.stop_start_tasks(tasks)
        scheduler.count_all_tasks(tasks)
        time.sleep(0.02)
    assert (tasks.tasks[0].requested, tasks.tasks[0].running) == (3, 3)
    assert not any(thread.over for thread in scheduler.threads)
    mistakes = [record for record in caplog.records if record.exc_info]
    assert [record.getMessage() for record in mistakes] == ["a: scale to 3"]
