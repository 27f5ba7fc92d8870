"""The consumers of a queue, as sources list them: with a real Redis, and with nsqd's answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.asynq import AsynqMetric
from microscaling.metric.base import METRICS, Metric
from microscaling.metric.celery import CeleryMetric
from microscaling.metric.consumers import celery as of_celery
from microscaling.metric.consumers import nsq as of_nsq
from microscaling.metric.consumers.base import Consumer, Consumers
from microscaling.metric.consumers.choice import MAKERS, consumers_of
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.nsq_stats import Depths
from microscaling.metric.null import NullMetric
from microscaling.metric.redis_stream import RedisStreamMetric
from microscaling.metric.rq import RQMetric
from microscaling.metric.sidekiq import SidekiqMetric
from tests.services.redis import RedisServer


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Any]:
    pytest.importorskip("redis", reason="redis is not here: pip install '.[redis]'")
    with RedisServer(tmp_path) as server:
        client = server.client()
        client.url = server.url
        yield client
        client.close()


@pytest.fixture
def ask() -> Iterator[Any]:
    made: list[Consumers] = []

    def ask(metric: Metric) -> set[tuple[str, bool]]:
        made.append(consumers_of(metric))
        return {(one.host, one.busy) for one in made[-1].ask()}

    yield ask
    for one in made:
        one.close()


def test_workers_of_rq(redis: Any, ask: Any) -> None:
    assert ask(RQMetric(redis.url, "jobs")) == set()
    for name, state in (("a", "busy"), ("b", "idle"), ("c", "suspended"), ("d", "started")):
        redis.hset(f"rq:worker:{name}", mapping={"hostname": f"host-{name}", "state": state, "pid": "1"})
        redis.sadd("rq:workers:jobs", f"rq:worker:{name}")
    redis.sadd("rq:workers:jobs", "rq:worker:whose-hash-has-expired")
    expected = {("host-a", True), ("host-b", False), ("host-c", False), ("host-d", True)}
    assert ask(RQMetric(redis.url, "jobs")) == expected


def test_processes_of_sidekiq(redis: Any, ask: Any) -> None:
    for name, busy in (("host-a:1:0a", "2"), ("host-b:1:0b", "0")):
        redis.sadd("processes", name)
        redis.hset(name, "busy", busy)
    redis.sadd("processes", "gone:1:0c")
    assert ask(SidekiqMetric(redis.url)) == {("host-a", True), ("host-b", False)}


def test_servers_of_asynq(redis: Any, ask: Any) -> None:
    for name in ("{host-a:1:0a}", "{host-b:7:0b}", "{a:b:1:0c}"):
        redis.zadd("asynq:servers", {f"asynq:servers:{name}": 1e10})
        redis.set(f"asynq:servers:{name}", b"\x0a a message of Protocol Buffers")
    redis.hset("asynq:workers:{host-a:1:0a}", "task", "its state")
    redis.zadd("asynq:servers", {"asynq:servers:{killed:1:0d}": 1})
    expected = {("host-a", True), ("host-b", False), ("a:b", False)}
    assert ask(AsynqMetric(redis.url)) == expected


def test_consumers_of_a_stream(redis: Any, ask: Any) -> None:
    redis.xgroup_create("jobs", "workers", mkstream=True)
    redis.xadd("jobs", {"a": 1})
    redis.xreadgroup("workers", "host-a", {"jobs": ">"})
    redis.xreadgroup("workers", "host-b", {"jobs": ">"}, block=1)
    found = ask(RedisStreamMetric(redis.url, "jobs", "workers"))
    assert ("host-a", True) in found
    assert found - {("host-b", False)} == {("host-a", True)}, "before 7.2 one that got nothing is not listed"


def test_a_source_that_fails(redis: Any, ask: Any, tmp_path: Path) -> None:
    redis.set("rq:workers:jobs", "of another kind")
    with pytest.raises(MetricError, match=r"Redis at .*: WRONGTYPE"):
        ask(RQMetric(redis.url, "jobs"))
    with pytest.raises(MetricError, match="no such key"):
        ask(RedisStreamMetric(redis.url, "not-there", "workers"))
    with pytest.raises(MetricError, match="refused"):
        ask(RQMetric("redis://127.0.0.1:1/0"))


STATS = {"topics": [
    {"topic_name": "other", "channels": [{"channel_name": "work", "clients": [{"hostname": "x"}]}]},
    {"topic_name": "jobs", "channels": [
        {"channel_name": "other", "clients": [{"hostname": "y", "in_flight_count": 1}]},
        {"channel_name": "work", "clients": [
            {"hostname": "host-a", "client_id": "a", "in_flight_count": 1},
            {"hostname": "host-b", "client_id": "b", "in_flight_count": 0},
        ]},
    ]},
]}  # fmt: skip


@pytest.mark.parametrize("answer", [STATS, {"status_code": 200, "data": STATS}], ids=["1.3", "before 1.0"])
def test_clients_of_nsqd(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    urls: list[str] = []

    def fetch(client: Any, url: str) -> bytes:
        urls.append(url)
        return json.dumps(answer).encode()

    monkeypatch.setattr(of_nsq.Client, "fetch", fetch)
    found = consumers_of(NSQMetric("jobs", "work", "nsqd:4151")).ask()
    assert list(found) == [Consumer("host-a", True), Consumer("host-b", False)]
    assert urls == [
        "http://nsqd:4151/stats?format=json&include_clients=true&include_mem=false&topic=jobs&channel=work"
    ]


@pytest.mark.parametrize("answer", [[], {"topics": 5}, {"topics": [{"topic_name": "jobs"}]}, 7])
def test_another_answer_of_nsqd(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_nsq.Client, "fetch", lambda client, url: json.dumps(answer).encode())
    with pytest.raises(MetricError, match="not nsqd's statistics"):
        consumers_of(NSQMetric("jobs", "work", "nsqd:4151")).ask()


def test_after_a_timeout_of_a_message_it_is_not_known_who_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client that works on it has none in flight any more."""
    monkeypatch.setattr(of_nsq.Client, "fetch", lambda client, url: json.dumps(STATS).encode())
    metric = NSQMetric("jobs", "work", "nsqd:4151")
    consumers = consumers_of(metric)
    queue = ("jobs", "work")

    def timeouts(count: int) -> None:
        metric.read(Depths({"jobs": 0}, {queue: 0}, {queue: 0}, timeouts={queue: count}))

    timeouts(3)
    timeouts(3)
    assert len(consumers.ask()) == 2, "those of long ago do not count"
    timeouts(4)
    with pytest.raises(MetricError, match="has timed out, and the client that still works on it looks idle"):
        consumers.ask()
    assert metric.timed_out_at is not None
    metric.timed_out_at -= of_nsq.HELD_S
    assert len(consumers.ask()) == 2


def test_many_threads_ask_once() -> None:
    class Slow(Consumers):
        asked = 0

        def fetch(self) -> list[Consumer]:
            Slow.asked += 1
            time.sleep(0.2)
            return []

    slow = Slow()
    threads = [threading.Thread(target=slow.ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = Slow.asked
    assert 1 <= asked < len(threads)
    slow.ask()
    assert Slow.asked == asked + 1, "each asks for an answer that is younger than its question"


@pytest.mark.parametrize("kind", [kind for kind in METRICS.all() if kind.type_name not in MAKERS])
def test_every_other_metric_is_refused_with_a_reason(kind: type[Metric]) -> None:
    metric = kind.__new__(kind)
    with pytest.raises(ConfigError, match=r"\w+ \w+"):
        consumers_of(metric)
    with pytest.raises(ConfigError, match="does not show the consumers of a queue"):
        consumers_of(NullMetric())


def test_celery_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_celery, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs celery"):
        consumers_of(CeleryMetric("redis://127.0.0.1:1/0"))
