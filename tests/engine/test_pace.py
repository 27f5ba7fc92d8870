"""A source's own pace: how often it is asked, how long a reading lives, and how fast a queue grows."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from microscaling.demand.task import Task
from microscaling.settings import Settings
from microscaling.target.queue import QueueLengthTarget
from tests.engine.driven import BEAT_S, Driven, Length, falls_back, queue_task


def by_velocity(length: int = 69, **more: Any) -> Task:
    """Its queue jumps to one more than it should be, so that only the velocity moves it."""
    target = QueueLengthTarget(length, Settings())
    fields = {"min_containers": 1, "max_containers": 100, "max_delta": 99, **more}
    return queue_task("a", 1, target=target, **fields)


class Stamped(Length):
    """Answers with the time of the value."""

    def read(self, answer: Any) -> Any:
        value, self.stamp = answer
        return value


def more(run: Driven, seconds: float, **answers: Any) -> int:
    """How many more than its one the task is to have meanwhile."""
    return max(run.beat(**answers)[0] for _ in range(round(seconds / BEAT_S))) - 1


# Velocity


def test_a_source_that_is_asked_each_beat_keeps_its_velocity() -> None:
    run = Driven(by_velocity(), cap=100)
    run.for_s(20, a=40)
    assert more(run, BEAT_S, a=70) == 38, (
        "it rested for 20 s and jumped: 30 items in a beat, as with the Go agent"
    )


@pytest.mark.parametrize(("interval_s", "most"), [(0.5, 38), (1.0, 19), (5.0, 4), (15.0, 1), (60.0, 0)])
def test_with_an_interval_a_jump_counts_as_if_it_had_come_evenly(interval_s: float, most: int) -> None:
    task = by_velocity()
    task.metric.interval_s = interval_s
    run = Driven(task, cap=100)
    run.for_s(3 * interval_s + 3, a=40)
    assert more(run, interval_s, a=70) == most


@pytest.mark.parametrize("pace_s", [5.0, 15.0])
def test_so_it_does_at_the_known_pace_of_the_source(pace_s: float) -> None:
    task = by_velocity()
    task.metric.pace_s = pace_s
    run = Driven(task, cap=100)
    run.for_s(20, a=40)
    assert more(run, BEAT_S, a=70) == round(30 / (pace_s / BEAT_S) * 1.25)


def test_an_interval_says_more_than_a_known_pace() -> None:
    task = by_velocity()
    task.metric.pace_s, task.metric.interval_s = 15.0, 0.5
    run = Driven(task, cap=100)
    run.for_s(20, a=40)
    assert more(run, BEAT_S, a=70) == 38


@pytest.mark.parametrize(("step_s", "expected"), [(0.5, 38), (15.0, 1), (30.0, 1)])
def test_so_it_does_by_the_time_stamps_of_the_answers(step_s: float, expected: int) -> None:
    task = by_velocity()
    task.metric = Stamped("a")
    run = Driven(task, cap=100)
    beats = round(step_s / BEAT_S)
    for n in range(3):
        for _ in range(beats):
            run.beat(a=(40, 1000.0 + n * step_s))
    assert more(run, BEAT_S, a=(70, 1000.0 + 3 * step_s)) == expected


@pytest.mark.parametrize("stamps", [(1000.0, 10.0), (1000.0, 1000.0)], ids=["goes back", "stands still"])
def test_a_clock_that_makes_no_sense_is_left_alone(stamps: tuple[float, float]) -> None:
    task = by_velocity()
    task.metric = Stamped("a")
    run = Driven(task, cap=100)
    run.beat(a=(40, stamps[0]))
    assert more(run, BEAT_S, a=(70, stamps[1])) == 38


def test_beats_that_were_left_out_count() -> None:
    run = Driven(by_velocity(), cap=100)
    run.for_s(5, a=40)
    run.now += 2 * BEAT_S
    assert more(run, BEAT_S, a=70) == 13


# How often it is asked, and how long a reading lives


def asked(run: Driven) -> bool:
    """One beat; whether the source is asked at it."""
    polls = run.readings.start(run.now, BEAT_S / 4)
    for poll in polls:
        poll.finish(run.now, 40)
    run.decider.beat(run.now)
    run.now += BEAT_S
    return bool(polls)


@pytest.mark.parametrize(
    ("interval_s", "every"), [(0.0, 1), (0.3, 1), (0.5, 1), (1.0, 2), (1.5, 3), (15.0, 30)]
)
def test_it_is_asked_once_in_its_interval_and_never_held(interval_s: float, every: int) -> None:
    task = by_velocity()
    task.metric.interval_s = interval_s
    run = Driven(task)
    seen = [(asked(run), bool(task.held)) for _ in range(90)]
    assert [n for n, (was, _) in enumerate(seen) if was] == list(range(0, 90, every))
    assert not any(held for _, held in seen)


def test_of_tasks_that_share_a_source_the_shortest_interval_counts() -> None:
    tasks = [by_velocity() for _ in range(2)]
    for task, interval_s in zip(tasks, (60.0, 2.0), strict=True):
        task.metric.interval_s = interval_s
    run = Driven(*tasks)
    assert [n for n in range(12) if asked(run)] == [0, 4, 8]


@pytest.mark.parametrize(
    ("interval_s", "timeout_s", "lives_s"),
    [(0.0, 0.0, 1.5), (2.0, 0.0, 6.0), (0.0, 5.0, 6.5), (2.0, 5.0, 11.0)],
)
def test_a_reading_lives_as_long_as_its_interval_asks(
    interval_s: float, timeout_s: float, lives_s: float
) -> None:
    task = by_velocity()
    task.metric.interval_s = interval_s
    assert task.metric.source
    task.metric.source.limit(timeout_s)
    run = Driven(task)
    asked(run)
    began = run.now - BEAT_S
    while not task.held:
        run.decider.beat(run.now)
        run.now += BEAT_S
    assert run.now - BEAT_S - began == lives_s + BEAT_S


def test_a_failure_is_counted_once_in_an_interval() -> None:
    task = by_velocity(**falls_back(5, 3))
    task.metric.interval_s = 4.0
    run = Driven(task)
    fell_back = []
    for n in range(30):
        for poll in run.readings.start(run.now, BEAT_S / 4):
            poll.finish(run.now, error="refused")
        run.decider.beat(run.now)
        run.now += BEAT_S
        if task.falling_back:
            fell_back.append(n)
    assert fell_back[0] == 16, "at the third question, 8 s after the first"


def test_a_limit_makes_it_a_source_of_its_own() -> None:
    a, b, c = (by_velocity() for _ in range(3))
    for task in (b, c):
        assert task.metric.source
        task.metric.source.limit(5.0)
    assert len(Driven(a, b, c).readings.polls) == 2


# What is said


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO, "mssengine")
    return lambda: [m for m in caplog.messages if "held" in m or "again" in m]


def fails(run: Driven, error: str) -> None:
    for poll in run.readings.start(run.now, BEAT_S / 4):
        poll.finish(run.now, error=error)
    run.decider.beat(run.now)
    run.now += BEAT_S


def test_the_cause_is_said_again_when_it_changes(said: Any) -> None:
    run = Driven(by_velocity())
    for error in ("refused", "refused", "HTTP 503", "HTTP 401", "HTTP 401", "HTTP 401"):
        fails(run, error)
    assert said() == ["a held: refused", "a held: HTTP 503", "a held: HTTP 401"]


def test_an_identifier_in_what_a_server_says_is_no_new_cause(said: Any) -> None:
    run = Driven(by_velocity())
    for request in "abcdef":
        fails(run, f"http://h/: answers with HTTP 403: request {request}")
    assert said() == ["a held: http://h/: answers with HTTP 403: request a"]


def test_causes_that_take_turns_do_not_fill_the_log(said: Any) -> None:
    run = Driven(by_velocity())
    for n in range(7200):
        fails(run, f"cause {n % 7}")
    causes = [line for line in said() if line.startswith("a held: ")]  # without the reminder of each minute
    assert 3 <= len(causes) <= 3 * 3600 / 30


def test_one_that_is_slow_from_the_start_is_named_with_its_true_cause(said: Any) -> None:
    run = Driven(by_velocity())
    [poll] = run.readings.start(run.now, BEAT_S / 4)
    for _ in range(4):
        run.decider.beat(run.now)
        run.now += BEAT_S
    poll.finish(run.now, error="a: no complete answer within 2 s")
    run.decider.beat(run.now)
    assert said() == ["a held: a: no answer yet", "a held: a: no complete answer within 2 s"]


def test_one_whose_answers_come_too_late_is_told_how_to_be_measured() -> None:
    task = by_velocity()
    run = Driven(task)
    held = ""
    for n in range(8):  # each answer takes 1.8 s
        if n % 4 == 0:
            if n:
                run.readings.polls[0].finish(run.now - 0.2, 40)
            run.readings.start(run.now, BEAT_S / 4)
        run.decider.beat(run.now)
        held = task.held
        run.now += BEAT_S
    assert held == (
        "a: its answers take longer than a reading stays valid, 1.5 s: raise timeoutSeconds or "
        "intervalSeconds in the config of its tasks"
    )


def test_before_its_first_reading_a_task_is_held() -> None:
    """So that no monitor takes it for one with an empty queue."""
    task = by_velocity()
    Driven(task)
    assert task.held == "not measured yet"


def test_a_bad_value_that_differs_each_time_is_one_cause(said: Any) -> None:
    run = Driven(by_velocity())
    for n in range(50):
        run.beat(a=-n - 1)
    assert said() == ["a held: measurement: -1 is out of range (0 to 2^53)"]
