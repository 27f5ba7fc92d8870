"""Looks at cheap sources between two beats, in virtual time and over real connections."""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from typing import Any

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.local import LocalEngine
from microscaling.engine.poll import LATELY, QUICK_S, Poll, Reading
from microscaling.metric.base import Measurement, Metric, Source
from microscaling.metric.http import HTTPMetric, HTTPSource, Question
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.nsq_stats import parse_stats
from microscaling.metric.redis import RedisSource
from microscaling.metric.sqs import SQSSource
from microscaling.settings import Settings
from microscaling.target.per_container import PerContainerTarget
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from microscaling.target.wait import WaitTarget
from tests.engine.driven import BEAT_S, Driven, Length, queue_task
from tests.metric.faulty import Server, answers
from tests.metric.nsqd import wait_for


class Shown(Length):
    """A length that can be seen between two beats."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.source.cheap = True  # type: ignore[union-attr]

    def glance(self, answer: Any) -> Any:
        return answer


def shown(name: str, has: int, target: Any = None, **more: Any) -> Task:
    task = queue_task(name, has, target=target or SimpleQueueLengthTarget(50), **more)
    task.metric = Shown(name)
    return task


def look(driven: Driven, at: float = 0.2, **seen: Any) -> list[int]:
    """What the engine does if the sources show this so long (seconds) after the last beat."""
    now = driven.now - BEAT_S + at
    found = [(poll, Reading(now, now, seen[poll.source.name])) for poll in driven.readings.polls
             if poll.source.name in seen]  # fmt: skip
    promising = [(poll, reading) for poll, reading in found
                 if driven.readings.promises(poll, reading.answer, now)]  # fmt: skip
    if promising:
        driven.decider.early(now, [], promising)
    return driven.demand()


def gains() -> Settings:
    return Settings(kp=0.04, ki=0.0, kd=0.1, vel_samples=1)


@pytest.mark.parametrize(
    ("target", "wants"),
    [(SimpleQueueLengthTarget(50), 2), (PerContainerTarget(50), 4), (QueueLengthTarget(50, gains()), 20)],
)
def test_a_jump_over_the_target_does_not_wait_for_the_beat(target: Any, wants: int) -> None:
    driven = Driven(shown("web", 1, target))
    driven.beat(web=20)
    assert look(driven, web=200) == [wants]
    assert driven.tasks.tasks[0].metric.current == 200


@pytest.mark.parametrize(
    ("before", "seen", "more"),
    [
        (20, 50, {}),
        (60, 70, {}),
        (20, 200, {"max_containers": 1}),
        (20, 200, {"is_scalable": False}),
        (20, 200, {"target": WaitTarget(10.0)}),
        (20, Measurement(200, paused=True), {}),
        (None, 200, {}),
    ],
    ids=["meets its target", "was above it", "at its maximum", "not scalable", "learns", "paused", "held"],
)
def test_nothing_else_is_decided_early(before: Any, seen: Any, more: dict[str, Any]) -> None:
    driven = Driven(shown("web", 1, **more))
    driven.measure(**({} if before is None else {"web": before}))
    has = driven.demand()
    assert look(driven, web=seen) == has


def test_a_first_job_has_the_first_container_started() -> None:
    driven = Driven(shown("web", 0))
    driven.beat(web=0)
    assert look(driven, web=1) == [1]


def test_a_task_moves_early_once_in_a_beat_and_a_step_a_beat() -> None:
    driven = Driven(shown("web", 1), shown("mail", 1))
    driven.beat(web=20, mail=20)
    assert look(driven, 0.1, web=60) == [2, 1]
    driven.settle()
    assert look(driven, 0.2, web=70, mail=60) == [2, 2]
    driven.settle()
    assert driven.measure(web=70, mail=60) == [2, 2], "the step of this beat was taken before"


def test_the_decisions_at_the_beats_stay() -> None:
    """The rules of the Go agent decide at each beat as if nobody had looked in between."""
    moved = 0
    for seed in range(12):
        dice = random.Random(seed)
        rule = [lambda: QueueLengthTarget(50, gains()), lambda: SimpleQueueLengthTarget(50)][seed % 2]
        both = [shown("web", 1, rule(), max_containers=999, max_delta=999) for _ in range(2)]
        plain, early = (Driven(task, cap=999) for task in both)
        length = 0
        for _ in range(80):
            if dice.random() < 0.5:
                length = max(0, length + dice.randint(-90, 90))
                before = early.demand()
                for at in (0.1, 0.3, 0.45):
                    moved += look(early, at, web=length) != before
            assert plain.beat(web=length) == early.beat(web=length)
    assert moved > 50


def test_a_source_is_quick_if_one_of_its_last_answers_was() -> None:
    poll = Poll(Length("a").source)  # type: ignore[arg-type]
    assert not poll.is_quick
    poll.took(QUICK_S)
    for _ in range(LATELY - 1):
        poll.took(2 * QUICK_S)
        assert poll.is_quick, "the machine may be busy"
    poll.took(2 * QUICK_S)
    assert not poll.is_quick
    poll.took(QUICK_S)
    poll.took(float("inf"))
    assert not poll.is_quick, "it fails now"


@pytest.mark.parametrize(
    ("source", "cheap"),
    [
        (NSQMetric("t", "c", "nsqd.example:4151").source, True),
        (RedisSource("redis://redis.example", ("LLEN", "a")), True),
        (HTTPSource("http://127.0.0.1:8080/jobs"), True),
        (HTTPSource("http://[::1]:8080/jobs"), True),
        (HTTPSource("http://api.example/jobs"), False),
        (HTTPSource(Question("http://localhost/jobs", body="{}")), False),
        (SQSSource("https://sqs.eu-west-1.amazonaws.com/1/a", "eu-west-1"), False),
    ],
)
def test_what_costs_money_or_belongs_to_others_is_never_looked_at(source: Any, cheap: bool) -> None:
    assert source.cheap is cheap


def test_a_look_at_nsq_leaves_no_trace() -> None:
    metric = NSQMetric("t", "c", "127.0.0.1:1")
    channel = {"channel_name": "c", "depth": 7, "in_flight_count": 2, "message_count": 9}
    topics = [{"topic_name": "t", "depth": 0, "channels": [channel]}]
    answer = parse_stats(json.dumps({"topics": topics}).encode())
    assert metric.glance(answer) == Measurement(7, 2)
    assert metric.glance(parse_stats(b'{"topics": []}')) is None, "not logged as missing"
    found = metric.read(answer)
    assert isinstance(found, Measurement)
    assert found.arrived == 9


def test_a_number_with_a_time_of_its_own_is_left_to_the_beats() -> None:
    metric = HTTPMetric("http://127.0.0.1:1/", "jobs")
    assert (metric.read({"jobs": 3}), metric.glance({"jobs": 4})) == (3, 4)
    metric.stamp = 1.0
    assert metric.glance({"jobs": 4}) is None


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer shows that a source is quick, however busy this machine is."""
    monkeypatch.setattr("microscaling.engine.poll.LATELY", 1)
    monkeypatch.setattr("microscaling.engine.poll.QUICK_S", 60.0)


def run(
    server: Server, beat_s: float, look_s: float, interval_s: float = 0.0
) -> tuple[LocalEngine, Task, Any]:
    metric = HTTPMetric(server.url("/"), "jobs")
    assert metric.source is not None
    metric.source.limit(60.0)  # the first beat may be the only one, also on a busy machine
    metric.interval_s = interval_s
    task = Task("web", 1, 1, 1, priority=1, max_containers=9, max_delta=9, target=PerContainerTarget(50))
    task.metric = metric
    engine, slot = LocalEngine(beat_s=beat_s, look_s=look_s), queue.Queue[bool | None](maxsize=1)
    engine.get_demand(Tasks([task], 10), slot)
    return engine, task, slot


def test_an_engine_looks_between_its_beats_and_decides_at_once(quick: None) -> None:
    jumped = threading.Event()

    def jobs(server: Any, sock: Any) -> Any:
        return answers(b'{"jobs": 200}' if jumped.is_set() else b'{"jobs": 20}')(server, sock)

    with Server(jobs) as server:
        engine, task, slot = run(server, beat_s=600.0, look_s=0.01)
        try:
            wait_for(lambda: len(server) > 3)
            jumped.set()
            wait_for(lambda: task.demand == 4)
            assert engine.counts().sources[0].answers == 1, "there was one beat only"
        finally:
            engine.stop_demand(slot)


class Told(Source):
    """A source that knows by itself if its answer still holds."""

    key, name, cheap = "told", "told", True

    def __init__(self) -> None:
        self.length, self.holds = 20, True
        self.fetched = self.checked = 0
        self.takes_s = 0.0

    def fetch(self) -> int:
        self.fetched += 1
        return self.length

    def unchanged(self) -> bool:
        self.checked += 1
        time.sleep(self.takes_s)
        return self.holds


class ToldMetric(Metric):
    def __init__(self, told: Told) -> None:
        self.source = told

    def read(self, answer: int) -> int:
        return answer

    glance = read


def told_task(told: Told) -> Task:
    task = Task("web", 1, 1, 1, priority=1, max_containers=9, max_delta=9, target=PerContainerTarget(50))
    task.metric = ToldMetric(told)
    return task


def test_an_answer_that_still_holds_is_not_fetched_again(quick: None) -> None:
    told = Told()
    task = told_task(told)
    engine, slot = LocalEngine(beat_s=600.0, look_s=0.01), queue.Queue[bool | None](maxsize=1)
    engine.get_demand(Tasks([task], 10), slot)
    try:
        wait_for(lambda: told.checked > 5)
        assert told.fetched == 1, "at the beat"
        told.length, told.holds = 200, False
        wait_for(lambda: task.demand == 4)
        assert engine.counts().sources[0].answers == 1
    finally:
        engine.stop_demand(slot)


def test_a_slow_look_is_not_the_last_one(quick: None) -> None:
    told = Told()
    engine, slot = LocalEngine(beat_s=0.2, look_s=0.01), queue.Queue[bool | None](maxsize=1)
    engine.get_demand(Tasks([told_task(told)], 10), slot)
    try:
        wait_for(lambda: told.checked)
        told.takes_s = 0.3  # ten times as long is longer than a beat
        seen = told.checked
        wait_for(lambda: told.checked > seen)
        told.takes_s = 0.0
        seen = told.checked
        wait_for(lambda: told.checked > seen + 10)
    finally:
        engine.stop_demand(slot)


@pytest.mark.parametrize("more", [{"look_s": 0.0}, {"look_s": 0.01, "interval_s": 3.0}])
def test_without_looks_or_with_an_interval_a_source_is_asked_at_its_pace(
    quick: None, more: dict[str, float]
) -> None:
    with Server(answers(b'{"jobs": 20}')) as server:
        engine, _, slot = run(server, beat_s=0.2, **more)
        try:
            wait_for(lambda: engine.counts().beats > 2)
        finally:
            engine.stop_demand(slot)
        assert len(server) <= engine.counts().beats + 1
