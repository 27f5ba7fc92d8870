"""What all metrics have in common, and those that ask nobody."""

from __future__ import annotations

import pytest

from microscaling.metric.base import Metric, MetricError, Source, whole_number
from microscaling.metric.null import NullMetric
from microscaling.metric.toy import ToyMetric


class Numbers(Source):
    """Answers with what it was given, in order; raises what is an error."""

    name = "numbers"
    key = "numbers"

    def __init__(self, *answers):
        self.answers = list(answers)

    def fetch(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Plain(Metric):
    def __init__(self, *answers):
        self.source = Numbers(*answers)

    def read(self, answer):
        return whole_number(answer, "answer")


def test_a_metric_is_0_before_it_was_measured():
    assert Plain().current == 0


def test_an_update_asks_the_source_and_keeps_the_value():
    metric = Plain(7)
    metric.update()
    assert metric.current == 7


@pytest.mark.parametrize("bad", [MetricError("gone"), -1, None])
def test_an_update_that_fails_keeps_the_last_value(bad):
    metric = Plain(7, bad)
    metric.update()
    with pytest.raises(MetricError):
        metric.update()
    assert metric.current == 7


@pytest.mark.parametrize("value", [0, 1, 2**53, 3.0, 1e6])
def test_a_whole_number(value):
    assert whole_number(value, "x") == value
    assert type(whole_number(value, "x")) is int


@pytest.mark.parametrize(
    "value",
    [-1, -0.5, 0.5, float("nan"), float("inf"), float("-inf"), 2**53 + 1, 1e300, 10**400, True, False,
     None, "", "7", [], [7], {}],
)  # fmt: skip
def test_no_whole_number(value):
    with pytest.raises(MetricError, match=r"^x: "):
        whole_number(value, "x")


def test_the_toy_is_what_it_is_set_to():
    toy = ToyMetric(3)
    toy.update()
    assert (ToyMetric().current, toy.current, toy.source) == (0, 3, None)
    toy.current = 9
    toy.update()
    assert toy.current == 9


def test_the_null_metric_is_0():
    null = NullMetric()
    null.update()
    assert (null.current, null.source) == (0, None)
