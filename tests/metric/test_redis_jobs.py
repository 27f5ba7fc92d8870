"""Queues of job frameworks in Redis: the questions of all tasks, and errors of one of them. The frameworks
themselves are in tests/frameworks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.demand.task import Task
from microscaling.engine.readings import Readings
from microscaling.errors import ConfigError, MetricError
from microscaling.metric import missing
from microscaling.metric.arq import ARQMetric
from microscaling.metric.base import Measurement, Metric
from microscaling.metric.bullmq import BullMQMetric
from microscaling.metric.celery import CeleryMetric, check_steps
from microscaling.metric.huey import HueyMetric
from microscaling.metric.redis_jobs import JobsSource
from microscaling.metric.rq import RQMetric
from tests.services.redis import RedisServer

pytest.importorskip("redis", reason="redis is not here: pip install '.[redis]'")

JOBS = 'Huey queue "jobs" has not existed since the start'


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Any]:
    with RedisServer(tmp_path) as server, server.client() as client:
        client.rpush("rq:queue:mail", "1", "2")
        client.sadd("rq:queues", "rq:queue:mail")
        client.rpush("celery", "a message of another program")
        client.rpush("jobs\x06\x163", "1", "2")
        client.hset("bull:images:meta", "version", "bullmq:6")
        client.set("bull:odd:wait", "text")
        yield server


def test_all_tasks_of_one_redis_share_one_request(redis: Any) -> None:
    metrics: list[Metric] = [
        RQMetric(redis.url, "mail"),
        CeleryMetric(redis.url),
        CeleryMetric(redis.url, "jobs", look_at=0),
        BullMQMetric(redis.url, "odd"),
        RQMetric(redis.url, "mail"),
    ]
    readings = Readings([Task(str(i), metric=metric) for i, metric in enumerate(metrics)], 1.5)
    [poll] = readings.polls
    assert len(poll.source.metrics) == 4, "equal questions are asked once"  # type: ignore[attr-defined]
    try:
        answer = poll.source.fetch()
        found = [metric.read(answer) for metric in metrics if metric.type_name != "BullMQ"]
        assert found == [Measurement(2, 0), Measurement(1, None), Measurement(2, None), Measurement(2, 0)]
        with pytest.raises(MetricError, match=r"BullMQ queue odd: WRONGTYPE .* another kind of queue"):
            metrics[3].read(answer)
        with pytest.raises(MetricError, match="RQ queue new: not measured yet"):
            RQMetric(redis.url, "new").read(answer)
    finally:
        poll.source.close()


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (RQMetric, 'the RQ queue "jobs" has not existed since the start: there is mail'),
        (BullMQMetric, 'the BullMQ queue "jobs" has not existed since the start: there is images'),
        (CeleryMetric, 'the Celery queue "orders" has not existed since the start: there is none at all'),
    ],
)
def test_a_queue_that_was_never_there_is_said_once_with_those_that_are(
    metric: Any, said: str, redis: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "HINT_AFTER_S", 0.0)
    caplog.set_level(logging.WARNING, "mssmetric")
    asked = metric(redis.url, "orders" if metric is CeleryMetric else "jobs")
    for _ in range(3):
        asked.update()
    asked.source.close()
    [line] = caplog.messages
    assert line.endswith(said)


def test_a_framework_that_keeps_nothing_of_an_empty_queue_only_says_which_others_there_are(
    redis: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "HINT_AFTER_S", 0.0)
    caplog.set_level(logging.WARNING, "mssmetric")
    with redis.client() as client:
        for others, said in ((), []), (("huey.redis.mail", "arq:job:1"), [f"{JOBS}: there is mail"]):
            for name in others:
                client.lpush(name, "a task")
            for metric in HueyMetric(redis.url, "jobs"), ARQMetric(redis.url, "jobs"):
                metric.update()
                metric.source.close()  # type: ignore[union-attr]
            assert [line.partition("the ")[2] for line in caplog.messages] == said


@pytest.mark.parametrize("steps", ["", "a", "0;3", "0,-1", "0,,3"])
def test_priority_steps_are_whole_numbers(steps: str) -> None:
    with pytest.raises(ConfigError, match="expected whole numbers, as 0,3,6,9"):
        check_steps(steps)


def test_one_that_redis_refuses_takes_no_other_along(redis: Any) -> None:
    """Those of many queues are in one transaction, which a refused command ends for all."""
    with redis.client() as client:
        client.acl_setuser(
            "some", enabled=True, passwords=["+secret"], keys=["rq:*", "huey.*"], commands=["+@all"]
        )
    url = redis.url.rpartition("@")
    some = f"redis://some:secret@{url[2]}"
    metrics = [RQMetric(some, "mail"), CeleryMetric(some), RQMetric(some, "other"), HueyMetric(some, "jobs")]
    readings = Readings([Task(str(i), metric=metric) for i, metric in enumerate(metrics)], 1.5)
    [poll] = readings.polls
    source = poll.source
    assert isinstance(source, JobsSource)
    try:
        for _ in range(3):
            answer = source.fetch()
            assert [metrics[i].read(answer) for i in (0, 2, 3)] == [
                Measurement(2, 0), Measurement(0, 0), Measurement(0, None),
            ]  # fmt: skip
            with pytest.raises(MetricError, match=r"Celery queue celery: .*(?i:no permissions)"):
                metrics[1].read(answer)
        assert source._alone == {metrics[1].key}, "the others are asked together again"
        with redis.client() as client:
            client.acl_setuser("some", keys=["*"], commands=["+@all"])
        assert [metrics[1].read(source.fetch()) for _ in range(2)] == [Measurement(1, None)] * 2
        assert not source._alone
    finally:
        source.close()
