"""Looks between two beats, in virtual time."""

from __future__ import annotations

import random
from typing import Any

import pytest

from microscaling.demand.override import Override
from microscaling.demand.step_limit import StepLimit
from microscaling.demand.task import Task
from microscaling.engine.early import Early
from microscaling.engine.poll import Poll
from microscaling.metric.base import Measurement
from microscaling.settings import Settings
from microscaling.target.base import Target
from microscaling.target.per_container import PerContainerTarget
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from tests.engine.driven import BEAT_S, Driven, Queue, queue_task

EARLY_S = 0.2
"""Time between a beat and an early look."""


def look(driven: Driven, **answers: Any) -> list[int]:
    """An early look at these tasks, after the last beat."""
    now = driven.now - BEAT_S + EARLY_S
    told = [poll for poll in driven.readings.polls if poll.source.name in answers]
    for poll in told:
        poll.start(now, 0.1)
        poll.finish(now, answers[poll.source.name])
    driven.decider.early(now, told)
    return driven.demand()


def per_container(name: str, has: int, items: int = 10, **more: Any) -> Task:
    return queue_task(name, has, target=PerContainerTarget(items), **more)


def test_a_task_gets_what_it_needs_before_the_beat() -> None:
    driven = Driven(per_container("web", 1), per_container("mail", 1))
    driven.beat(web=5, mail=5)
    assert look(driven, web=42) == [5, 1]
    assert str(driven.tasks.tasks[0].reason).startswith("queue 42")
    assert driven.measure(web=42, mail=5) == [5, 1]


def test_it_takes_from_a_less_important_one() -> None:
    driven = Driven(per_container("web", 1), queue_task("batch", 19, priority=2), cap=20)
    driven.beat(web=5, batch=60)
    assert look(driven, web=100) == [10, 10]


def test_a_first_job_has_the_first_container_started() -> None:
    driven = Driven(queue_task("web", 0))
    driven.beat(web=0)
    assert look(driven, web=1) == [1], "far below the target of the rule"


def test_nothing_is_given_back_early() -> None:
    driven = Driven(per_container("web", 5))
    driven.beat(web=50)
    assert look(driven, web=0) == [5]
    assert driven.measure(web=0) == [0]


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({"activation": 50}, 42),
        ({"is_scalable": False}, 42),
        ({}, Measurement(42, paused=True)),
        ({}, "not a number"),
    ],
)
def test_what_must_not_move_does_not(more: dict[str, Any], answer: Any) -> None:
    driven = Driven(per_container("web", 0, **more))
    driven.beat(web=0)
    assert look(driven, web=answer) == [0]


def test_a_held_one_stays_until_the_beat() -> None:
    driven = Driven(per_container("web", 1))
    driven.beat()
    assert look(driven, web=42) == [1]
    assert driven.measure(web=42) == [5]


def test_an_override_is_kept_to() -> None:
    driven = Driven(per_container("web", 1))
    driven.tasks.overrides = {"web": Override(None)}
    driven.beat(web=5)
    assert look(driven, web=42) == [1]


def test_a_limit_of_steps_is_kept_to() -> None:
    driven = Driven(per_container("web", 1, scale_up=StepLimit(2, 0, 60)))
    driven.beat(web=5)
    assert look(driven, web=100) == [3]
    driven.settle()
    assert driven.measure(web=100) == [3], "the early ones count"


def queue_rule() -> Target:
    return QueueLengthTarget(50, Settings(kp=0.04, ki=0.0, kd=0.1, vel_samples=1))


@pytest.mark.parametrize("rule", [queue_rule, lambda: SimpleQueueLengthTarget(50)])
def test_the_decisions_at_the_beats_stay(rule: Any) -> None:
    """What a rule does by steps it does by as many, if some of them are taken early."""
    moved = 0
    for seed in range(20):
        dice = random.Random(seed)
        both = [queue_task("web", 1, target=rule(), max_containers=999, max_delta=999) for _ in range(2)]
        plain, early = (Driven(task, cap=999) for task in both)
        length = 0
        for _ in range(100):
            if dice.random() < 0.5:
                length = max(0, length + dice.randint(-90, 90))
                before = early.demand()
                if dice.random() < 0.7:
                    moved += look(early, web=length) != before
                    if dice.random() < 0.5:
                        early.settle()
            assert plain.beat(web=length) == early.beat(web=length)
    assert moved > 100


def test_a_source_is_looked_at_early_once_in_a_beat_and_once_in_its_interval() -> None:
    woken: list[None] = []
    early = Early(0.5, lambda: woken.append(None))
    poll, slow = Poll(Queue("a")), Poll(Queue("b"), interval_s=5.0)
    for _ in range(3):
        early.tell(poll)
        early.tell(slow)
    assert len(woken) == 6
    assert early.to_ask(10.0) == [poll, slow]
    assert early.to_ask(10.1) == []
    early.finished(poll)
    assert len(woken) == 7
    assert (early.answered(), early.answered()) == ([poll], [])
    early.tell(poll)
    early.tell(slow)
    assert early.to_ask(10.4) == []
    assert early.to_ask(10.5) == [poll]
    assert early.to_ask(15.0) == [slow]


def test_one_that_is_busy_is_asked_again_when_it_is_free() -> None:
    woken: list[None] = []
    early = Early(0.5, lambda: woken.append(None))
    poll = Poll(Queue("a"))
    poll.start(10.0, 0.1)
    early.tell(poll)
    assert early.to_ask(10.1) == []
    poll.finish(10.2, 1)
    early.finished(poll)
    assert (len(woken), early.answered()) == (2, [])
    assert early.to_ask(10.2) == [poll]


def test_a_source_that_has_gone_is_forgotten() -> None:
    early = Early(0.5, lambda: None)
    poll, other = Poll(Queue("a")), Poll(Queue("b"))
    for each in (poll, other):
        early.tell(each)
    early.forget({other})
    assert early.to_ask(10.0) == [other]
    early.forget(set())
    early.finished(other)
    assert early.answered() == []
