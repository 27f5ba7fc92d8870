"""The order in which containers go, as a table."""

from __future__ import annotations

import pytest

from microscaling.demand.drain import Activity
from microscaling.scheduler.containers.order import Standing, goes_before

IDLE, BUSY, UNKNOWN = Activity.IDLE, Activity.BUSY, Activity.UNKNOWN


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (Standing(1, works=False), Standing(2, activity=IDLE), "not started: nothing can be lost"),
        (Standing(2, works=False), Standing(1, works=False), "both do no work: the newest"),
        (Standing(1, activity=IDLE), Standing(2, activity=BUSY), "idle before busy, although it is older"),
        (Standing(1, activity=IDLE), Standing(2, activity=UNKNOWN), "idle before unknown"),
        (Standing(2, activity=IDLE, since=1), Standing(1, activity=IDLE, since=9), "both idle: the newest"),
        (
            Standing(1, activity=IDLE),
            Standing(2, activity=BUSY, draining=True),
            "idle before one that drains",
        ),
        (
            Standing(1, activity=BUSY, since=1, draining=True),
            Standing(2, activity=BUSY, since=9),
            "the one on its way stays on it",
        ),
        (Standing(1, activity=BUSY, since=9), Standing(2, activity=BUSY, since=5), "busy for a shorter time"),
        (
            Standing(1, activity=UNKNOWN, since=9),
            Standing(2, activity=BUSY, since=5),
            "unknown counts as busy",
        ),
        (Standing(1, activity=BUSY, since=9), Standing(2, activity=UNKNOWN, since=5), "and busy as unknown"),
        (Standing(2, activity=BUSY, since=5), Standing(1, activity=BUSY, since=5), "the same: the newest"),
        (
            Standing(1, activity=IDLE),
            Standing(2, activity=IDLE, renewed=True),
            "the one that is to be replaced anyway",
        ),
        (
            Standing(2, activity=IDLE, renewed=True),
            Standing(1, activity=BUSY),
            "but not in the midst of a job",
        ),
        (Standing(1), Standing(2, renewed=True), "the same where nothing is known"),
        (Standing(2), Standing(1), "nothing is known: the newest, as without any of the keys"),
    ],
)
def test_goes_before(first: Standing, second: Standing, why: str) -> None:
    assert goes_before(first) < goes_before(second), why
    assert sorted([second, first], key=goes_before) == [first, second], why
