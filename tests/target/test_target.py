"""Targets, where the vectors do not reach; those are replayed in test_target_vectors.py."""

from __future__ import annotations

import pytest

from microscaling.settings import Settings
from microscaling.target.base import Target
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget


@pytest.mark.parametrize(
    ("samples", "answers"),
    [
        (1, [0, 8, 0, 8]),  # 8 more than at the reading before
        (2, [0, 0, 8, 16]),  # none before there are two, then the mean of two
        (4, [0, 0, 0, 0]),
    ],
)
def test_velocity_is_primed_anew_after_a_gap(samples: int, answers: list[int]) -> None:
    target = QueueLengthTarget(0, Settings(kp=0.0, kd=1.0, vel_samples=samples))
    readings = [10, 18, 18, 26] if samples == 1 else [10, 18, 26, 50]
    assert [target.delta(reading) for reading in readings] == answers
    target.reset()
    assert [target.delta(reading + 1000) for reading in readings] == answers


def test_integral_has_no_say_before_the_queue_has_reached_its_target() -> None:
    target = QueueLengthTarget(10, Settings(kp=0.0, ki=1.0, kd=0.0))
    assert [target.delta(reading) for reading in (5, 5, 10, 5, 20)] == [0, 0, -10, -15, -5]


def test_integral_has_its_say_at_once_if_the_queue_starts_too_long() -> None:
    target = QueueLengthTarget(10, Settings(kp=0.0, ki=1.0, kd=0.0))
    assert [target.delta(reading) for reading in (15, 15, 9)] == [5, 10, 9]


def test_gap_keeps_the_integral() -> None:
    target = QueueLengthTarget(10, Settings(kp=0.0, ki=1.0, kd=0.0))
    assert target.delta(15) == 5
    target.reset()
    assert target.delta(15) == 10


@pytest.mark.parametrize("kp", [1e308, -1e308])
def test_gains_beyond_reason_change_nothing(kp: float) -> None:
    assert QueueLengthTarget(0, Settings(kp=kp)).delta(2**53) == 0


def test_half_a_container_rounds_up() -> None:
    targets = [QueueLengthTarget(10, Settings(kp=0.5, kd=0.0)) for _ in range(2)]
    assert [t.delta(reading) for t, reading in zip(targets, (11, 9), strict=True)] == [1, 0]


def test_queue_target_takes_its_gains_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSS_KP", "1")
    assert QueueLengthTarget(10).delta(17) == 7


@pytest.mark.parametrize(
    ("length", "most"),
    [(0, 0), (1, 0), (2, 1), (10, 7), (90, 62), (100, 70)],  # 62, not 63: 0.7 * 90 is 62.99... in binary
)
@pytest.mark.parametrize("kind", [QueueLengthTarget, SimpleQueueLengthTarget])
def test_exceeding_is_at_most_70_percent(kind: type, length: int, most: int) -> None:
    target: Target = kind(length)
    assert target.exceeding(most)
    assert not target.exceeding(most + 1)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (QueueLengthTarget(50, Settings()), "queue 7 of target 50"),
        (SimpleQueueLengthTarget(50), "queue 7 of target 50"),
        (RemainderTarget(9), "uses what is left"),
    ],
    ids=repr,
)
def test_words(target: Target, words: str) -> None:
    assert target.words(7) == words
    target.reset()  # every target has it


@pytest.mark.parametrize("target", [SimpleQueueLengthTarget(3), RemainderTarget(3)], ids=repr)
def test_targets_have_no_room_for_mistyped_names(target: Target) -> None:
    with pytest.raises(AttributeError):
        target.lenght = 4  # type: ignore[attr-defined]
