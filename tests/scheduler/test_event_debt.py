"""Event streams that tell nothing, or not all: found out, and made up for by listings."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from microscaling.agent import Agent
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.local import LocalEngine
from microscaling.scheduler.containers import driver as runner
from microscaling.scheduler.containers import event_debt
from microscaling.scheduler.containers.backend import Event
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.containers.event_debt import OVERDUE_S, EventDebt
from microscaling.scheduler.process.backend import ProcessBackend
from microscaling.target.remainder import RemainderTarget
from tests.scheduler.processes import wait_for
from tests.scheduler.simulated_engine import Faults, SimulatedEngine, small_world


def test_a_stream_that_owes_again_after_it_was_opened_anew_is_not_opened_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    debt, now, opened = EventDebt(), 0.0, 0
    for i in range(20):
        debt.owe(f"c{i}", "die", now)
        now += OVERDUE_S
        if debt.is_broken(now, "engine"):
            opened += 1
            debt.clear(by_itself=False)
    assert (opened, debt.deaf) == (1, True)
    assert len(caplog.records) == 1
    assert "does not report all changes (die)" in caplog.text


def test_one_that_tells_again_is_believed_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    debt = EventDebt()
    for now in (0.0, 20.0):
        debt.owe("c1", "die", now)
        debt.is_broken(now + OVERDUE_S, "engine")
        debt.clear(by_itself=False)
    assert debt.deaf
    debt.told("c2", "start")
    assert debt.deaf, "starts it has told all the time"
    debt.told("c2", "die")
    assert not debt.deaf
    assert "reports all changes again" in caplog.text


@pytest.mark.parametrize("told", [True, False])
def test_one_that_breaks_now_and_then_is_opened_anew_each_time(told: bool) -> None:
    debt, opened = EventDebt(), 0
    for i in range(5):
        debt.owe(f"c{i}", "die", 100.0 * i)
        opened += debt.is_broken(100.0 * i + OVERDUE_S, "engine")
        debt.clear(by_itself=not told)
        if told:
            debt.told("other", "die")
    assert opened == 5


def asleep() -> SimulatedEngine:
    """A world whose agent has slept while a container ended, so that no event tells of it any more."""
    world = small_world(random.Random(1), Faults())
    world.list()
    world.run(1)
    world.decide({"a": 2})
    world.run(2)
    world.faults.lost_event = 1.0
    world.kill(next(iter(world.real.values())))
    world.faults.lost_event = 0.0
    return world


@pytest.mark.parametrize("slept", [True, False])
def test_what_was_missed_asleep_is_owed_by_nobody(slept: bool) -> None:
    world = asleep()
    if slept:
        world.listing.missed()
    world.list()
    world.run(3)
    assert world.running("a") == 2
    assert world.listing.stream_is_broken(world.now + OVERDUE_S) != slept


class Mute(ProcessBackend):
    """Its event stream is open, and tells only such kinds."""

    def __init__(self, folder: str, kinds: tuple[str, ...] = ()) -> None:
        super().__init__(folder)
        self.kinds = kinds
        self.opened = 0
        self.listings = 0

    def watch(self, ready: Callable[[], None], on_event: Callable[[Event], None]) -> None:
        self.opened += 1
        super().watch(ready, lambda event: on_event(event) if event.kind in self.kinds else None)

    def list(self):  # type: ignore[no-untyped-def]
        self.listings += 1
        return super().list()


class Running:
    """An agent with one task on such a backend."""

    def __init__(self, backend: ProcessBackend, command: str, count: int = 1) -> None:
        self.backend = backend
        target = RemainderTarget(count)
        self.task = Task("a", command=command, target=target, min_containers=count, max_containers=count)
        self.agent = Agent(Tasks([self.task], count), LocalEngine(), ContainerScheduler(backend))
        self.thread = threading.Thread(target=self.agent.run)

    def __enter__(self) -> Running:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.agent.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()


@pytest.mark.parametrize("kinds", [(), ("create", "start", "destroy")])
def test_an_agent_whose_stream_is_silent(
    kinds: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash loop backs off all the same, the stream is opened anew once, and that is said once."""
    monkeypatch.setattr(event_debt, "OVERDUE_S", 1.0)
    backend = Mute(str(tmp_path / "state"), kinds)
    with Running(backend, "sh -c 'exit 3'") as run:
        wait_for(lambda: "backing off, next try in 4 s" in caplog.text, within_s=90)
        wait_for(lambda: "does not report all changes" in caplog.text, within_s=90)
        opened = backend.opened
        wait_for(lambda: "backing off, next try in 8 s" in caplog.text, within_s=90)
        assert run.task.backing_off
    assert backend.opened == opened == 2
    assert caplog.text.count("does not report all changes") == 1
    assert "exited with code 3" in caplog.text or "had ended with code 3" in caplog.text


def test_after_it_was_stopped_an_agent_lists_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LIST_EVERY_S", 3600.0)
    backend = Mute(str(tmp_path / "state"), ("create", "start", "die", "destroy"))
    with Running(backend, "sleep 300") as run:
        wait_for(lambda: run.task.running == 1)
        time.sleep(1.0)
        before = backend.listings
        scheduler = run.agent.scheduler
        assert isinstance(scheduler, ContainerScheduler)
        with run.agent.tasks:
            scheduler._counted -= 10.0  # as SIGSTOP and SIGCONT leave it
        wait_for(lambda: backend.listings > before)
