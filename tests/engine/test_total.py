"""A task with several sources: the sum, and what is said while one of them has no number."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from microscaling.demand.fallback import Fallback
from microscaling.demand.task import Task
from microscaling.engine.readings import Readings
from microscaling.metric.base import LARGEST, MetricError
from microscaling.metric.measurement import Measurement
from microscaling.metric.total import TotalMetric
from microscaling.metric.toy import ToyMetric
from tests.engine.test_local_readings import MAX_AGE_S, Number, Primed, beat


def several(name: str, *shelves: str, **more: Any) -> Task:
    """A task that takes one number from each of these shelves."""
    return Task(name, metric=TotalMetric([Number(name, shelf) for shelf in shelves]), target=Primed(), **more)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO, "mssengine")
    return lambda: caplog.messages


def test_the_sum_of_all() -> None:
    a, b = several("a", "x", "y"), Task("b", metric=Number("b", "x"), target=Primed())
    readings = Readings([a, b], MAX_AGE_S)
    assert beat(readings, 0, x={"a": 3, "b": 9}, y={"a": 4}) == 0
    assert (a.metric.current, b.metric.current, a.held) == (7, 9, "")
    assert [poll.source.name for poll in readings.polls] == [
        "x",
        "y",
    ]  # one request to a source for all tasks


@pytest.mark.parametrize("wrong", [OSError("refused"), MetricError("refused"), {"a": -1}, {"a": None}, {}])
def test_one_that_fails_makes_the_sum_no_number(wrong: Any, said: Any) -> None:
    a, b = several("a", "x", "y", "z"), Task("b", metric=Number("b", "x"), target=Primed())
    readings = Readings([a, b], MAX_AGE_S)
    beat(readings, 0, x={"a": 3, "b": 9}, y={"a": 4}, z={"a": 5})
    assert beat(readings, 0.5, x={"a": 7, "b": 1}, y=wrong, z={"a": 5}) == 1
    assert (a.metric.current, b.metric.current, b.held) == (12, 1, "")
    assert a.held.startswith("sources[1]: ")
    assert len(said()) == 1
    beat(readings, 1, x={"a": 7, "b": 1}, y={"a": 0}, z={"a": 5})
    assert (a.metric.current, a.held) == (12, "")
    assert len(said()) == 2


def test_a_source_that_never_answered_is_no_zero() -> None:
    a = several("a", "x", "y")
    assert beat(Readings([a], MAX_AGE_S), 0, x={"a": 3}) == 1
    assert (a.metric.current, a.held) == (0, "sources[1]: y: no answer yet")


def test_what_is_said_names_each_source(said: Any) -> None:
    a = Task("a", metric=TotalMetric([Number("a", "x"), Number("b", "x"), Number("a", "y")]), target=Primed())
    readings = Readings([a], MAX_AGE_S)
    beat(readings, 0, x=MetricError("away"), y=MetricError("gone"))
    assert said() == ["a (sources[0]), a (sources[1]) held: away", "a (sources[2]) held: gone"]
    assert a.held == "sources[0]: away (3 of its 3 sources fail)"
    beat(readings, 0.5, x={"a": 1, "b": 2}, y=MetricError("gone"))
    assert said()[2:] == ["x answers again"]  # not "measured again", as the sum still lacks one
    assert a.held == "sources[2]: gone"


def test_failures_are_counted_once_a_beat() -> None:
    a = several("a", "x", "y", fallback=Fallback(3, 2))
    readings = Readings([a], MAX_AGE_S)
    for i in range(3):
        beat(readings, i / 2, x=MetricError("away"), y=MetricError("away"))
    assert readings.rows()[0].failures == 3
    beat(readings, 2, x={"a": 1}, y={"a": 2})
    assert (readings.rows()[0].failures, a.metric.current) == (0, 3)


@pytest.mark.parametrize(
    ("fast", "slow", "beats"),
    [
        (lambda i: 20 * i, lambda i: 7, 1),  # only the one that is asked at each beat changes
        (lambda i: 7, lambda i: 20 * i, 10),  # only the one that is asked every 10th
        (lambda i: i, lambda i: i, 11 / 2),  # both: 1 in a beat, and 10 in 10 beats
    ],
)
def test_each_change_is_spread_over_the_pace_of_its_source(fast: Any, slow: Any, beats: float) -> None:
    a = several("a", "x", "y")
    a.metric.terms[1].interval_s = 5
    readings = Readings([a], MAX_AGE_S)
    paces = []
    for i in range(41):
        beat(readings, i / 2, x={"a": fast(i)}, y={"a": slow(i)})
        paces.append(readings.rows()[0].beats)
    assert a.metric.current == fast(40) + slow(40)
    assert paces[40] == pytest.approx(beats)


def test_failures_are_counted_at_the_pace_of_the_source_that_fails() -> None:
    def failures(slow_fails: bool) -> int:
        a = several("a", "x", "y", fallback=Fallback(3, 2))
        a.metric.terms[1].interval_s = 5
        readings = Readings([a], MAX_AGE_S)
        for i in range(40):
            good, bad = {"a": 1}, MetricError("away")
            beat(readings, i / 2, x=good if slow_fails else bad, y=bad if slow_fails else good)
        return readings.rows()[0].failures

    assert failures(slow_fails=False) == 40
    assert failures(slow_fails=True) == 4


def test_a_lower_bound_is_one_of_the_sum() -> None:
    a = several("a", "x", "y")
    a.metric.at_least = 3
    readings = Readings([a], MAX_AGE_S)
    beat(readings, 0, x={"a": 0}, y={"a": 1})
    assert a.metric.current == 3
    beat(readings, 0.5, x={"a": 4}, y={"a": 1})
    assert a.metric.current == 5


def test_a_term_without_a_source_is_as_it_was_set() -> None:
    a = Task("a", metric=TotalMetric([Number("a", "x"), ToyMetric(5)]), target=Primed())
    assert beat(Readings([a], MAX_AGE_S), 0, x={"a": 3}) == 0
    assert a.metric.current == 8


def test_no_sum_is_above_the_largest_number() -> None:
    a = several("a", "x", "y")
    beat(Readings([a], MAX_AGE_S), 0, x={"a": LARGEST}, y={"a": LARGEST})
    assert (a.metric.current, a.held) == (LARGEST, "")


class States(Number):
    """Counts jobs by their state."""

    def read(self, answer: Any) -> Any:
        return Measurement(*answer[self.name])


@pytest.mark.parametrize(("with_running", "number"), [(False, 7), (True, 9)])
def test_jobs_of_all_states_are_those_of_all_sources(with_running: bool, number: int) -> None:
    a = Task("a", metric=TotalMetric([States("a", "x"), Number("a", "y"), States("a", "z")]), target=Primed())
    a.metric.with_running = with_running
    readings = Readings([a], MAX_AGE_S)
    beat(readings, 0, x={"a": (1, 2, 3, 4)}, y={"a": 5}, z={"a": (1,)})
    assert (a.metric.current, a.metric.measured) == (number, Measurement(7, 2, 3, 4))
    beat(readings, 0.5, x={"a": (1, -2)}, y={"a": 5}, z={"a": (1,)})
    assert a.held == "sources[0]: running: -2 is out of range (0 to 2^53)"
    assert (a.metric.current, a.metric.measured) == (number, Measurement(7, 2, 3, 4))


def test_it_can_be_asked_by_itself() -> None:
    metric = TotalMetric([Number("a", "x"), Number("a", "y")])
    metric.sources[0].answer, metric.sources[1].answer = {"a": 1}, {"a": 2}  # type: ignore[attr-defined]
    metric.update()
    assert (metric.current, metric.read([{"a": 5}, {"a": 6}])) == (3, 11)
