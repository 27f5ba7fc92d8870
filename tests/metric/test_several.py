"""One worker with three queues, in a real Redis and a real nsqd."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.demand.task import Task
from microscaling.engine.readings import Readings
from microscaling.settings import Settings
from tests.metric.nsqd import Nsqd
from tests.services.redis import RedisServer

pytest.importorskip("redis", reason="redis is not here: pip install 'microscaling[redis]'")


@pytest.fixture
def nsqd(tmp_path: Path) -> Iterator[Any]:
    with Nsqd(tmp_path) as server:
        server.post("/topic/create?topic=jobs")
        server.post("/channel/create?topic=jobs&channel=workers")
        yield server


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


class Worker:
    """A task with three sources, which are asked one after the other."""

    def __init__(self, redis: Any, nsqd: Any) -> None:
        sources = [
            {"key": "high"},
            {"key": "low"},
            {"metricType": "NSQ", "topicName": "jobs", "channelName": "workers"},
        ]
        config = {"url": redis.url, "targetQueueLength": 20, "sources": sources}
        app = {
            "name": "worker",
            "maxContainers": 3,
            "ruleType": "Queue",
            "metricType": "Redis",
            "config": config,
        }
        settings = Settings(nsq_stats_endpoint=nsqd.endpoint)
        data = {"maxContainers": 3, "apps": [app | {"config": config}]}
        self.task: Task = apps_from_parsed(data, settings)[0][0]
        self.readings = Readings([self.task], 30.0)
        self.now = 0.0

    def measured(self) -> tuple[int, str]:
        """The sum, and why it is not up to date."""
        self.now += self.readings.beat_s
        for poll in self.readings.start(self.now, 10.0):
            poll.ask(lambda: self.now)
        self.readings.judge(self.now)
        self.readings.apply()
        return self.task.metric.current, self.task.held

    def close(self) -> None:
        for poll in self.readings.polls:
            poll.source.close()


@pytest.fixture
def worker(redis: Any, nsqd: Any) -> Iterator[Worker]:
    made = Worker(redis, nsqd)
    yield made
    made.close()


def test_the_sum(worker: Worker, redis: Any, nsqd: Any) -> None:
    assert worker.measured() == (0, "")
    with redis.client() as client:
        client.rpush("high", *range(3))
        client.rpush("low", *range(40))
    nsqd.post("/mpub?topic=jobs", b"\n".join([b"x"] * 500))
    deadline = time.monotonic() + 60
    while worker.measured() != (543, "") and time.monotonic() < deadline:
        time.sleep(0.05)  # nsqd hands messages on to the channel by and by
    assert worker.measured() == (543, "")


def test_one_of_a_wrong_type(worker: Worker, redis: Any) -> None:
    with redis.client() as client:
        client.rpush("high", *range(3))
        assert worker.measured() == (3, "")
        client.set("low", "a")
        client.rpush("high", *range(3))
        total, held = worker.measured()
        assert total == 3
        assert held.startswith("sources[1]: Redis at redis://127.0.0.1")
        assert "LLEN low: WRONGTYPE" in held
        client.delete("low")
        assert worker.measured() == (6, "")


def test_one_away(worker: Worker, redis: Any, nsqd: Any) -> None:
    with redis.client() as client:
        client.rpush("high", *range(3))
    assert worker.measured() == (3, "")
    nsqd.__exit__()
    total, held = worker.measured()
    assert total == 3
    assert held.startswith("sources[2]: ")
    assert "Connection refused" in held
