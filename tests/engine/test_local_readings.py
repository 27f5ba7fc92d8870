"""Which readings count, which tasks are held, and what is said about it: in virtual time."""

from __future__ import annotations

import logging

import pytest

from microscaling.demand.task import Task
from microscaling.engine.readings import Readings
from microscaling.metric.base import Metric, MetricError, Source
from microscaling.metric.null import NullMetric
from microscaling.metric.toy import ToyMetric
from microscaling.target.simple_queue import SimpleQueueLengthTarget

MAX_AGE_S = 1.5


class Shelf(Source):
    """Many numbers at once; the tests say what it answers."""

    def __init__(self, name="shelf"):
        self.name = self.key = name
        self.answer = {}

    def fetch(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Number(Metric):
    """One number of a shelf."""

    def __init__(self, name, shelf="shelf"):
        self.name = name
        self.source = Shelf(shelf)

    def read(self, answer):
        return answer[self.name]


class Primed(SimpleQueueLengthTarget):
    """Counts how often it was primed anew."""

    __slots__ = ("resets",)

    def __init__(self):
        super().__init__(50)
        self.resets = 0

    def reset(self):
        self.resets += 1


def task(name, shelf="shelf"):
    return Task(name, metric=Number(name, shelf), target=Primed())


def beat(readings, now, **answers):
    """One beat at which every source answers at once; an error is what it fails with."""
    for poll in readings.start(now, 0.125):
        if poll.source.name in answers:
            poll.source.answer = answers[poll.source.name]
            poll.ask(lambda: now)
    readings.give_up()
    readings.judge(now)
    return readings.apply()


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "mssengine")
    return lambda: caplog.messages


def test_a_good_reading_is_written_to_the_task():
    a, b = task("a"), task("b")
    assert beat(Readings([a, b], MAX_AGE_S), 0, shelf={"a": 3, "b": 4}) == 0
    assert [a.metric.current, b.metric.current, a.held] == [3, 4, ""]


@pytest.mark.parametrize("metric", [ToyMetric(5), NullMetric()])
def test_a_task_without_a_source_is_never_held(metric):
    lone = Task("lone", metric=metric)
    readings = Readings([lone], MAX_AGE_S)
    assert beat(readings, 0) == 0
    assert (readings.polls, lone.held) == ([], "")


def test_no_answer_yet_is_no_zero(said):
    a = task("a")
    assert beat(Readings([a], MAX_AGE_S), 0) == 1
    assert a.held == "shelf: no answer yet"
    assert said() == ["a held: shelf: no answer yet"]


BAD = [-1, None, 2**60, 1.5, float("nan"), "7", True, [1]]


@pytest.mark.parametrize("value", BAD)
def test_one_bad_number_holds_one_task(value, said):
    a, b = task("a"), task("b")
    readings = Readings([a, b], MAX_AGE_S)
    beat(readings, 0, shelf={"a": 3, "b": 4})
    assert beat(readings, 0.5, shelf={"a": value, "b": 5}) == 1
    assert (a.metric.current, b.metric.current, b.held) == (3, 5, "")
    assert a.held.startswith("measurement: ")
    assert len(said()) == 1


@pytest.mark.parametrize("error", [MetricError("no"), ValueError("no"), OSError(5, "no")])
def test_a_source_that_fails_holds_its_tasks_and_nobody_else(error):
    a, b, c = task("a"), task("b"), task("c", "other")
    readings = Readings([a, b, c], MAX_AGE_S)
    beat(readings, 0, shelf={"a": 3, "b": 4}, other={"c": 5})
    assert beat(readings, 0.5, shelf=error, other={"c": 6}) == 2
    assert [t.metric.current for t in (a, b, c)] == [3, 4, 6]
    assert "no" in a.held
    assert (b.held, c.held) == (a.held, "")


def test_a_metric_that_cannot_find_its_number_fails_alone():
    a, b = task("a"), task("b")
    assert beat(Readings([a, b], MAX_AGE_S), 0, shelf={"b": 4}) == 1
    assert (a.held, b.held, b.metric.current) == ("KeyError('a')", "", 4)


def test_a_reading_counts_for_three_beats():
    a = task("a")
    readings = Readings([a], MAX_AGE_S)
    beat(readings, 0, shelf={"a": 3})
    held = [beat(readings, now) for now in (0.5, 1.0, 1.5, 2.0, 2.5)]
    assert held == [0, 0, 0, 1, 1]
    assert a.held == "shelf: no answer for more than 1.5 s"


def test_the_first_reading_after_a_gap_primes_the_velocity():
    a = task("a")
    readings = Readings([a], MAX_AGE_S)
    good, bad, gone = {"a": 3}, {"a": -1}, MetricError("gone")
    answers = [good, good, gone, gone, good, good, bad, good]
    resets = [beat(readings, n, shelf=answer) or a.target.resets for n, answer in enumerate(answers)]
    assert resets == [0, 0, 1, 1, 1, 1, 1, 2]
    assert a.target.resets == 2


def test_beats_that_were_missed_are_a_gap_too():
    a = task("a")
    readings = Readings([a], MAX_AGE_S)
    for now in (0.0, 0.5, 0.5 + MAX_AGE_S, 60.0, 60.5):
        beat(readings, now, shelf={"a": 3})
    assert a.target.resets == 1


def test_a_hold_of_somebody_else_is_left_alone():
    a = task("a")
    readings = Readings([a], MAX_AGE_S)
    a.held = "a second agent"
    for now, answer in enumerate([{"a": 1}, MetricError("x"), {"a": 2}]):
        beat(readings, now, shelf=answer)
        assert a.held == "a second agent"
    a.held = ""
    beat(readings, 3, shelf={"a": 3})
    assert (a.held, a.target.resets) == ("", 1)


def test_tasks_of_one_key_share_one_question():
    tasks = [task(f"t{n}") for n in range(100)] + [task("x", "other")]
    assert [poll.source.name for poll in Readings(tasks, MAX_AGE_S).polls] == ["shelf", "other"]


def test_one_request_in_flight():
    readings = Readings([task("a")], MAX_AGE_S)
    [poll] = readings.start(0, 0.125)
    assert readings.start(0.5, 0.125) == []
    poll.finish(0.6, {"a": 1})
    assert readings.start(1.0, 0.125) == [poll]


def test_who_did_not_answer_in_time_is_not_waited_for_until_it_has():
    readings = Readings([task("a")], MAX_AGE_S)
    waited = []
    for asked, answered in [(0, 0.01), (1, 1.3), (2, 2.3), (3, 3.01), (4, 4.01)]:
        [poll] = readings.start(asked, 0.125)
        waited.append(readings.awaited())
        poll.finish(answered, {"a": 1})
    assert waited == [True, True, False, False, True]


def test_who_hangs_is_given_up_on():
    readings = Readings([task("a")], MAX_AGE_S)
    [poll] = readings.start(0, 0.125)
    readings.give_up()
    assert not readings.awaited()
    poll.finish(10, {"a": 1})
    assert readings.start(10.5, 0.125) == [poll]
    assert not readings.awaited()


def test_a_failure_is_said_once_and_its_end_once(said):
    readings = Readings([task("a"), task("b")], MAX_AGE_S)
    for n in range(100):
        beat(readings, n, shelf=MetricError("gone") if 10 <= n < 90 else {"a": n, "b": n})
    assert said() == [
        "a, b held: gone",
        "shelf answers again: a, b measured again",
    ]


def test_a_task_that_fails_alone_is_said_once_and_its_end_once(said):
    readings = Readings([task("a"), task("b")], MAX_AGE_S)
    for n in range(100):
        beat(readings, n, shelf={"a": -n if 10 <= n < 90 else 0, "b": n})
    assert said() == [
        "a held: measurement: -10 is out of range (0 to 2^53)",
        "a measured again",
    ]


def test_a_source_that_flickers_does_not_fill_the_log(said):
    readings = Readings([task("a")], MAX_AGE_S)
    for n in range(7200):
        beat(readings, n / 2, shelf=MetricError("gone") if n % 2 else {"a": n})
    assert len(said()) <= 2 * 3600 / 30


def test_a_log_line_names_few_of_many(said):
    beat(Readings([task(f"t{n}") for n in range(2000)], MAX_AGE_S), 0, shelf=MetricError("gone"))
    assert said() == ["t0, t1, t2, t3, t4 and 1995 more held: gone"]
