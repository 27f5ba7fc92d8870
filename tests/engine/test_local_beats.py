"""When beats are due."""

from __future__ import annotations

import pytest

from microscaling.engine.beats import Beats


def test_beats_do_not_drift_however_late_each_one_is():
    beats = Beats(0.5, 100.0)
    due = [beats.next(beats.due + 0.001 * (n % 200)) for n in range(10_000)]
    assert due == [100.0 + 0.5 * n for n in range(1, 10_001)]


@pytest.mark.parametrize(
    ("now", "due", "missed"),
    [
        (10.0, 10.5, 0),
        (10.24, 10.5, 0),
        (10.26, 11.0, 1),  # half a second after it would come 0.24 s later
        (10.5, 11.0, 1),
        (11.9, 12.5, 4),
        (3610.0, 3610.5, 7200),
        (9.0, 10.5, 0),  # the clock may be read early, a beat is never repeated
    ],
)
def test_what_was_missed_is_left_out(now, due, missed):
    beats = Beats(0.5, 10.0)
    assert (beats.next(now), beats.missed) == (due, missed)


def test_missed_counts_only_since_the_last_beat():
    beats = Beats(0.5, 0.0)
    beats.next(5.0)
    beats.next(beats.due)
    assert beats.missed == 0
