"""A consumer group of a stream in every state of a real Redis; the truth is what the test has done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement
from microscaling.metric.redis_stream import RedisStreamMetric
from tests.frameworks.conftest import look  # noqa: F401
from tests.frameworks.stage import until
from tests.services.redis import RedisServer

pytest.importorskip("redis", reason="redis is not here: pip install '.[redis]'")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


class Stream:
    """The stream "jobs" with its group "workers"."""

    def __init__(self, client: Any, url: str) -> None:
        self.client = client
        self.url = url

    def add(self, count: int) -> list[bytes]:
        return [self.client.xadd("jobs", {"job": i}) for i in range(count)]

    def group(self, start: str = "0") -> None:
        self.client.xgroup_create("jobs", "workers", start, mkstream=True)

    def take(self, count: int, worker: str = "a") -> list[bytes]:
        [[_, entries]] = self.client.xreadgroup("workers", worker, {"jobs": ">"}, count=count)
        return [entry for entry, _ in entries]

    def finish(self, entries: list[bytes]) -> None:
        self.client.xack("jobs", "workers", *entries)


@pytest.fixture
def stream(server: RedisServer) -> Iterator[Stream]:
    with server.client() as client:
        client.flushall()
        yield Stream(client, server.url)


@pytest.fixture
def measure(stream: Stream, look: Any) -> Callable[[], Measurement]:  # noqa: F811
    whole = look(RedisStreamMetric(stream.url, "jobs", "workers"))
    return lambda: dataclasses.replace(whole(), oldest_age_s=None)


def test_every_state(stream: Stream, measure: Any, look: Any) -> None:  # noqa: F811
    with pytest.raises(MetricError, match=r"stream jobs: there is no such stream in Redis at redis://127"):
        measure()
    stream.add(100)
    with pytest.raises(MetricError, match=r"there is no group workers in Redis"):
        measure()
    stream.client.xgroup_create("jobs", "others", "0")
    with pytest.raises(MetricError, match=r"there is no group workers; there is others in Redis"):
        measure()
    stream.group()
    assert measure() == Measurement(100, 0)
    taken = stream.take(8)
    assert measure() == Measurement(92, 8)
    stream.finish(taken)
    assert measure() == Measurement(92, 0), "what is acknowledged stays in the stream, and is not counted"
    stream.take(5, "killed")

    slow = look(RedisStreamMetric(stream.url, "jobs", "workers", 1))
    until(lambda: (slow().running, slow().stuck), (0, 5))
    assert measure() == Measurement(87, 5), "until the time is over it may still run"
    stream.client.xautoclaim("jobs", "workers", "b", min_idle_time=0)
    assert (slow().running, slow().stuck) == (5, 0)
    assert look(RedisStreamMetric(stream.url, "jobs", "workers", 0))().running == 5

    stream.finish(stream.take(87))
    assert measure() == Measurement(0, 5)
    stream.client.delete("jobs")
    with pytest.raises(MetricError, match="there is no such stream"):
        measure()


def test_a_missing_group_may_be_empty(stream: Stream, look: Any) -> None:  # noqa: F811
    metric = RedisStreamMetric(stream.url, "jobs", "workers")
    metric.missing = "empty"
    look(metric)()
    assert metric.current == 0


def test_the_age_of_the_oldest_that_waits(stream: Stream, look: Any) -> None:  # noqa: F811
    measure = look(RedisStreamMetric(stream.url, "jobs", "workers"))
    stream.group()
    assert measure().oldest_age_s is None
    stream.add(2)
    until(lambda: measure().oldest_age_s > 0.3, True)
    stream.take(1)
    assert measure().oldest_age_s > 0.3
    stream.client.xadd("ids", {"job": 1}, id="5-1")
    stream.client.xgroup_create("ids", "workers", "0")
    assert look(RedisStreamMetric(stream.url, "ids", "workers"))() == Measurement(1, 0)


def test_where_redis_does_not_know_the_lag(stream: Stream, measure: Any) -> None:
    """After XDEL of what was not read, and of a group that begins in the midst of a stream."""
    entries = stream.add(10)
    stream.group()
    stream.take(3)
    stream.client.xdel("jobs", *entries[5:7])
    assert stream.client.xinfo_groups("jobs")[0]["lag"] is None
    assert measure() == Measurement(5, 3)
    stream.client.xgroup_destroy("jobs", "workers")
    stream.group("$")
    assert measure() == Measurement(0, 0)
    stream.add(1500)
    assert stream.client.xinfo_groups("jobs")[0]["lag"] is None
    assert measure() == Measurement(1508, 0, exact=False), "of many, all of the stream is the upper bound"
    stream.take(600)
    assert measure() == Measurement(900, 600)


def test_entries_that_are_trimmed_before_they_are_read(stream: Stream, measure: Any) -> None:
    """Redis 7.0 goes on counting them."""
    stream.group()
    stream.add(10)
    stream.finish(stream.take(2))
    stream.client.xtrim("jobs", maxlen=5, approximate=False)
    assert measure() == Measurement(5, 0)
    stream.take(2)
    assert measure() == Measurement(3, 2)
    stream.take(3)
    assert measure() == Measurement(0, 5)
    stream.client.xtrim("jobs", maxlen=0)
    assert measure() == Measurement(0, 5)
    stream.add(150)
    assert measure() == Measurement(150, 5)
    stream.take(20)
    assert measure().waiting in (130, 133), "of more than a hundred Redis is believed"
    stream.take(60)
    assert measure() == Measurement(70, 85)


def test_what_was_read_and_deleted_counts_for_nothing(stream: Stream, measure: Any) -> None:
    stream.group()
    entries = stream.add(300)
    stream.finish(stream.take(100))
    stream.client.xdel("jobs", *entries[:50])
    assert measure() == Measurement(200, 0)
    stream.client.xdel("jobs", *entries)
    assert measure() == Measurement(0, 0)


def test_another_kind_of_key_is_an_error(stream: Stream, look: Any) -> None:  # noqa: F811
    stream.client.rpush("list", 1)
    with pytest.raises(MetricError, match="WRONGTYPE"):
        look(RedisStreamMetric(stream.url, "list", "workers"))()


@pytest.mark.parametrize(("key", "group"), [("", "workers"), ("jobs", "")])
def test_both_names_are_needed(key: str, group: str) -> None:
    with pytest.raises(ConfigError, match="is missing"):
        RedisStreamMetric("redis://h", key, group)
