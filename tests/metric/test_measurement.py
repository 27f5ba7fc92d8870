"""The number of a rule, and the words, for jobs in all states."""

from __future__ import annotations

import pytest

from microscaling.metric.measurement import Measurement

PAUSED = Measurement(5, 2, future=7, paused=True)


@pytest.mark.parametrize(
    ("measured", "waiting", "with_running"),
    [
        (Measurement(5), 5, 5),
        (Measurement(5, 2, stuck=3, future=9), 5, 7),
        (PAUSED, 0, 2),
    ],
)
def test_the_number_of_a_rule(measured: Measurement, waiting: int, with_running: int) -> None:
    assert (measured.number(False), measured.number(True)) == (waiting, with_running)


@pytest.mark.parametrize(
    ("measured", "number", "words"),
    [
        (Measurement(5), 5, ""),
        (Measurement(5, 0), 5, ""),
        (Measurement(5, 2, 3, 9), 5, "2 running, 3 stuck, 9 future"),
        (Measurement(5, 2), 7, "5 waiting, 2 running"),
        (PAUSED, 0, "5 waiting, 2 running, 7 future, paused"),
    ],
)
def test_the_words_are_of_what_the_number_does_not_say(
    measured: Measurement, number: int, words: str
) -> None:
    assert measured.words(number) == words


def test_a_sum_knows_only_what_all_know() -> None:
    one = Measurement(1, 2, 3, 4, oldest_age_s=5.0, arrived=6, finished=7, age_s=1.0)
    other = Measurement(10, None, 30, 40, oldest_age_s=50.0, arrived=60, exact=False)
    total = Measurement.total([one, other])
    assert total == Measurement(
        11, 2, 33, 44, oldest_age_s=50.0, arrived=66, finished=None, exact=False, age_s=1.0
    )
    assert Measurement.total([one, PAUSED]).waiting == 1, "what is paused by itself cannot run now"
    assert Measurement.total([PAUSED, PAUSED]) == Measurement(10, 4, future=14, paused=True)
