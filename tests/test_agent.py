"""The agent's threads: started, watched, ended in order; with a scheduler that runs nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from microscaling.agent import Agent
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.local import LocalEngine
from microscaling.errors import PermanentError, TemporaryError
from microscaling.monitor.base import Monitor
from microscaling.scheduler.toy import ToyScheduler
from microscaling.target.remainder import RemainderTarget
from microscaling.utils.threads import StoppableThread

PATIENCE_S = 60.0


class Scheduler(ToyScheduler):
    """Notes what is asked of it; fails as it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failed: list[Exception] = []
        self.count_fails: Exception | None = None
        self.stuck = False

    def init_scheduler(self, task: Task) -> None:
        self.calls.append(f"init {task.name}")
        if self.failed:
            raise self.failed.pop(0)

    def count_all_tasks(self, tasks: Tasks) -> None:
        if self.count_fails:
            raise self.count_fails
        super().count_all_tasks(tasks)

    def drain(self, tasks: Tasks) -> None:
        self.calls.append("drain")
        super().drain(tasks)

    def leave(self, tasks: Tasks) -> None:
        self.calls.append("leave")

    def idle(self, tasks: Tasks) -> bool:
        return not self.stuck and ("leave" in self.calls or super().idle(tasks))

    def left(self) -> list[str]:
        return ["a 0123456789ab (running)"]

    def cleanup(self) -> None:
        self.calls.append("cleanup")


def make(scheduler: Scheduler, **more: Any) -> Agent:
    task = Task("a", target=RemainderTarget(5), min_containers=1, max_containers=5, max_delta=4)
    return Agent(Tasks([task], 5), LocalEngine(beat_s=0.05), scheduler, **more)


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Running:
    """An agent in a thread of its own; leaving the block stops it."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.code = -1
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.code = self.agent.run()

    def __enter__(self) -> Running:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.agent.stop()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


def test_it_scales_up_and_ends_with_nothing_running() -> None:
    scheduler = Scheduler()
    agent = make(scheduler)
    with Running(agent) as run:
        until(lambda: agent.tasks.tasks[0].running == 5)
    assert run.code == 0
    assert agent.tasks.exited()
    assert scheduler.calls == ["init a", "drain", "cleanup"]


def test_leave_leaves_what_runs() -> None:
    scheduler = Scheduler()
    agent = make(scheduler, leave=True)
    with Running(agent) as run:
        until(lambda: agent.tasks.tasks[0].running == 5)
    assert run.code == 0
    assert agent.tasks.tasks[0].running == 5
    assert "drain" not in scheduler.calls


def test_an_engine_that_is_away_at_the_start_is_waited_for_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scheduler = Scheduler()
    scheduler.failed = [TemporaryError("nobody there", delay_s=0.01) for _ in range(5)]
    agent = make(scheduler)
    with Running(agent):
        until(lambda: agent.tasks.tasks[0].running == 5)
    assert caplog.text.count("nobody there") == 1


def test_stopped_before_the_start_is_over_it_has_nothing_to_undo() -> None:
    scheduler = Scheduler()
    scheduler.failed = [TemporaryError("nobody there", delay_s=3600)]
    with Running(make(scheduler)) as run:
        until(lambda: scheduler.calls)
    assert run.code == 0
    assert scheduler.calls == ["init a", "cleanup"]


class Adopting(Scheduler):
    """Finds three that run, and is stopped just then."""

    agent: Agent

    def count_all_tasks(self, tasks: Tasks) -> None:
        if not self.agent._stopping.is_set():
            tasks.tasks[0].demand = tasks.tasks[0].requested = 3
        super().count_all_tasks(tasks)
        self.agent.stop()


def test_stopped_as_soon_as_it_has_adopted_it_stops_what_it_has_adopted() -> None:
    scheduler = Adopting()
    agent = scheduler.agent = make(scheduler)
    assert agent.run() == 0
    assert "drain" in scheduler.calls
    assert agent.tasks.exited()


def test_a_start_that_cannot_be_ends_with_code_1(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = Scheduler()
    scheduler.failed = [PermanentError("another agent has the lock")]
    assert make(scheduler).run() == 1
    assert caplog.messages[-1] == "stopped with exit code 1: another agent has the lock"


def test_what_cannot_be_counted_is_said_once_and_once_when_it_can(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    scheduler = Scheduler()
    agent = make(scheduler)
    with Running(agent):
        until(lambda: agent.tasks.tasks[0].running == 5)
        scheduler.count_fails = TemporaryError("away", delay_s=0.01)
        until(lambda: "cannot count" in caplog.text)
        time.sleep(0.1)
        scheduler.count_fails = None
        until(lambda: "can be counted again" in caplog.text)
    assert caplog.text.count("cannot count") == 1


def test_what_does_not_end_is_named_and_the_code_is_1(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = Scheduler()
    scheduler.stuck = True
    agent = make(scheduler, exit_timeout_s=0.1)
    with Running(agent) as run:
        until(lambda: agent.tasks.tasks[0].running == 5)
    assert run.code == 1
    assert caplog.messages[-1].endswith("the shutdown took too long; possibly left: a 0123456789ab (running)")


def test_a_thread_that_dies_ends_the_agent_and_leaves_what_runs(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = Scheduler()
    agent = make(scheduler)
    with Running(agent) as run:
        until(lambda: agent.tasks.tasks[0].running == 5)
        scheduler.count_fails = ZeroDivisionError("a bug")
        run.thread.join(PATIENCE_S)
    assert run.code == 1
    assert caplog.messages[-1] == (
        "stopped with exit code 1: thread mss-counter has died: ZeroDivisionError('a bug')"
    )
    assert agent.tasks.tasks[0].running == 5


class Starting(StoppableThread):
    """A thread as others see it for a moment while it starts: it has an ident, and is not yet alive."""

    ident = 1

    def is_alive(self) -> bool:
        return False


def test_a_thread_that_is_only_just_starting_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microscaling.agent.POLL_INTERVAL_S", 0.01)
    agent = make(Scheduler())
    seen: list[Starting] = []

    def threads() -> Iterator[Starting]:
        seen.append(Starting("mss-start-1"))
        yield seen[-1]

    monkeypatch.setattr(agent, "_threads", threads)
    with Running(agent) as run:
        until(lambda: len(seen) > 3 or not run.thread.is_alive())
    assert run.code == 0


def test_the_end_of_an_outage_however_long_is_noticed_within_a_second() -> None:
    counter = make(Scheduler())._counter
    assert max(counter.backoff.next() for _ in range(100)) <= 1.0


class Hanging(Monitor):
    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked = threading.Event()

    def send_metrics(self, tasks: Tasks) -> None:
        self.asked.set()
        self.let_go.wait(PATIENCE_S)

    def close(self) -> None:
        self.let_go.set()


class Counting(Monitor):
    def __init__(self) -> None:
        self.times = 0

    def send_metrics(self, tasks: Tasks) -> None:
        self.times += 1
        raise TemporaryError("nobody listens")


def test_a_monitor_that_hangs_or_fails_delays_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hanging, counting = Hanging(), Counting()
    agent = make(Scheduler(), monitors=[hanging, counting])
    with Running(agent) as run:
        hanging.asked.wait(PATIENCE_S)
        until(lambda: counting.times >= 2)
        until(lambda: agent.tasks.tasks[0].running == 5)
    assert run.code == 0
    assert caplog.text.count("nobody listens") == 1
