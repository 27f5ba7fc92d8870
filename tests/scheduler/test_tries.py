"""What is tried again after failed starts takes nothing from what works. In virtual time."""

from __future__ import annotations

import logging

import pytest

from microscaling.demand.task import Task
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from tests.scheduler.test_unstoppable import TARGET, Day, queue, remainder

TEN_MINUTES_S = 600.0


def crash(day: Day, name: str) -> None:
    """Its containers end, and so will all that are started."""
    day.engine.faults.broken[name] = "crash"
    for real in [real for real in day.engine.real.values() if real.task == name]:
        day.engine.kill(real)


def least_of(day: Day, name: str, seconds: float) -> int:
    """The fewest containers of this task that ran at any beat of so long."""
    end, least = day.engine.now + seconds, day.engine.running(name)
    while day.engine.now < end:
        day.beat()
        least = min(least, day.engine.running(name))
    return least


def measured(name: str, priority: int, least: int = 0) -> Task:
    return queue(name, priority, 10, QueueLengthTarget(TARGET), least)


@pytest.mark.parametrize("least", [0, 1])
@pytest.mark.parametrize(("failing", "works"), [(2, 1), (1, 2)], ids=["lesser fails", "more important fails"])
def test_no_try_stops_what_works(failing: int, works: int, least: int) -> None:
    day = Day(10, measured("fails", failing, least), measured("works", works))
    day.push("fails", 60)
    day.pass_s(20)
    assert day.running()["fails"] > 0, "it has run since the start"
    crash(day, "fails")
    day.push("fails", 100 if failing == 1 else 0)
    day.push("works", 5000)
    day.pass_s(30)
    had = day.running()["works"]
    assert had >= 9, "its share is used"
    assert least_of(day, "works", TEN_MINUTES_S) >= min(had, 9 + (failing == 2 and not least))
    day.engine.faults.broken.clear()
    day.push("works", 0)
    day.push("fails", 5000)
    day.pass_s(150)
    assert day.running()["fails"] == 10, "and it is tried as long as it takes"


def test_a_healed_task_that_comes_first_gets_its_share_from_one_that_never_rests() -> None:
    day = Day(10, measured("web", 1), measured("batch", 2))
    day.push("web", 5000)
    day.push("batch", 5000)
    day.pass_s(20)
    crash(day, "web")
    day.pass_s(120)
    assert day.running()["batch"] == 9, "one place is kept for the next try"
    day.engine.faults.broken.clear()
    day.pass_s(150)
    assert day.running() == {"web": 10, "batch": 0}


def test_a_place_is_kept_from_nobody_who_comes_first() -> None:
    day = Day(10, measured("web", 1), measured("batch", 2))
    day.push("batch", 5000)
    day.pass_s(20)
    crash(day, "batch")
    day.pass_s(10)
    day.push("web", 5000)
    day.pass_s(20)
    assert least_of(day, "web", 120.0) == 10


def test_what_soaks_up_the_rest_gives_and_both_say_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    day = Day(10, measured("works", 1, 5), measured("fails", 2, 1), remainder("rest", 3, 10))
    day.pass_s(20)
    crash(day, "fails")
    for _ in range(300):
        day.beat()
        assert day.engine.running("works") == 5
    assert "rest: 5 -> 4 (gives 1 to fails, which tries again)" in caplog.messages
    assert "fails: 0 -> 1 (tries again, in the place of one of rest)" in caplog.messages


def test_what_has_never_run_takes_the_place_of_what_is_measured(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    day = Day(10, measured("works", 2), queue("fails", 1, 1, SimpleQueueLengthTarget(TARGET), 1))
    day.engine.faults.broken["fails"] = "create"
    day.push("works", 5000)
    day.pass_s(20)
    day.pass_s(60)
    assert "works: 10 -> 9 (gives 1 to fails, which tries again)" in caplog.messages
    assert "fails: 0 -> 1 (tries again, in the place of one of works)" in caplog.messages
    day.engine.faults.broken.clear()
    day.pass_s(100)
    assert day.running() == {"works": 9, "fails": 1}
