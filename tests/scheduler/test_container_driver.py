"""The threads around a fleet: nothing waits for the next listing that need not."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from microscaling.agent import Agent
from microscaling.demand.frozen import Yielding
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.base import Slot
from microscaling.engine.local import LocalEngine
from microscaling.errors import TemporaryError
from microscaling.scheduler.containers import driver as runner
from microscaling.scheduler.containers.drain_file import DrainFile, Kept
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.containers.reconciler import ContainerReconciler
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


class Slow(ProcessBackend):
    """Holds every create until it is told to go on."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.creating = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.started: list[str] = []
        self.left: set[str] = set()

    def create(self, task: Task, nonce: str) -> str:
        self.creating.release()
        assert self.go_on.wait(60)
        id = super().create(task, nonce)
        self.left.add(id)
        return id

    def start(self, id: str) -> None:
        self.started.append(id)
        super().start(id)

    def remove(self, id: str) -> None:
        super().remove(id)
        self.left.discard(id)


class Lingering(LocalEngine):
    """Takes its time to end: until what was being created has gone."""

    backend: Slow
    reconciler: ContainerReconciler

    def stop_demand(self, demand_update: Slot) -> None:
        assert self.reconciler.leaving, "nothing is created any more"
        self.backend.go_on.set()
        wait_for(lambda: self.reconciler.idle and not self.backend.left)
        super().stop_demand(demand_update)


@pytest.mark.parametrize("leave", [True, False], ids=["leave", "stop"])
def test_what_is_being_created_at_the_end_is_removed_at_once_and_never_started(
    tmp_path: Path, leave: bool
) -> None:
    backend, engine = Slow(str(tmp_path / "state")), Lingering()
    scheduler = ContainerScheduler(backend)
    task = Task("a", command="sleep 300", target=RemainderTarget(3), min_containers=3, max_containers=3)
    agent = Agent(Tasks([task], 3), engine, scheduler, leave=leave)
    engine.backend = backend
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(agent.run()))
    thread.start()
    for _ in range(3):
        assert backend.creating.acquire(timeout=60)
    engine.reconciler = scheduler.reconciler
    agent.stop()
    thread.join(120)
    assert codes == [0]
    assert (backend.started, backend.left) == ([], set())


def test_nothing_begins_before_the_file_for_the_next_agent_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it is another thread that writes what this one has changed: the agent may be killed."""
    writing, go_on = threading.Event(), threading.Event()

    class SlowDisk(DrainFile):
        def write(self, kept: Mapping[str, Kept], now: float) -> None:
            writing.set()
            assert go_on.wait(60)
            super().write(kept, now)

    monkeypatch.setattr(runner, "DrainFile", SlowDisk)
    scheduler = ContainerScheduler(ProcessBackend(str(tmp_path / "state")))
    tasks = Tasks([Task("a", command="sleep 300", max_containers=1, yielding=Yielding(1))], 1)
    first = threading.Thread(target=scheduler.count_all_tasks, args=(tasks,))
    second = threading.Thread(target=scheduler.stop_start_tasks, args=(tasks,))
    try:
        first.start()
        assert writing.wait(60)
        second.start()
        second.join(0.3)
        assert second.is_alive()
    finally:
        go_on.set()
        first.join(60)
        second.join(60)
        scheduler.cleanup()
    assert [first.is_alive(), second.is_alive()] == [False, False]
