"""The counters of real brokers: jobs that have come since the beginning, and those that are done."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from microscaling.metric.base import Measurement, Metric
from microscaling.metric.beanstalkd import BeanstalkdMetric
from microscaling.metric.counter import Counter
from microscaling.metric.jet_stream import JetStreamMetric
from microscaling.metric.kafka import EARLIEST, KafkaMetric
from microscaling.metric.kafka_client import Partition
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.redis_stream import RedisStreamMetric
from microscaling.target.moment import Moment, between
from tests.metric.nsqd import Consumer, Nsqd
from tests.services.beanstalkd import Beanstalkd
from tests.services.nats import NATS
from tests.services.redis import RedisServer
from tests.services.service import wait_for

Counts = Callable[[], tuple[int | None, int | None]]


@pytest.fixture
def counts() -> Iterator[Callable[[Metric], Counts]]:
    """Returns a function that measures the counters, given a metric."""
    used: list[Metric] = []

    def made(metric: Metric) -> Counts:
        used.append(metric)

        def measure() -> tuple[int | None, int | None]:
            metric.update()
            assert metric.measured is not None
            return metric.measured.arrived, metric.measured.finished

        return measure

    yield made
    for metric in used:
        for source in metric.sources:
            source.close()


def test_a_counter_that_begins_anew_is_missing_once() -> None:
    counter = Counter()
    found = [counter.total(parts) for parts in ({"a": 3}, {"a": 5}, {"a": 1}, {"a": 4})]
    assert found == [3, 5, None, 4]
    assert counter.total({"a": 4, "b": 9}) is None, "another one has come"
    assert counter.total({"a": 4, "b": 9}) == 13
    assert counter.total({"a": 5, "b": 2}) is None, "one of two was started again"
    assert [counter.total({"a": 5, "b": None}), counter.total({"a": 5, "b": 2})] == [None, 7]
    assert counter.total({}) is None


def test_a_rule_takes_no_restart_for_jobs() -> None:
    """Between the readings the counter has begun anew: nothing is known of what has come meanwhile."""
    counter = Counter()
    readings = [counter.total({"a": count}) for count in (90, 95, 2, 8)]
    moments = [Moment.of(at, 5, Measurement(5, 0, arrived=arrived)) for at, arrived in enumerate(readings)]
    seen = [between(begin, end, 1.0, 0, 0.0).arrived for begin, end in itertools.pairwise(moments)]
    assert seen == [5, None, None]


def test_nsq(tmp_path: Path, counts: Callable[[Metric], Counts]) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    with Nsqd(folders[0]) as one, Nsqd(folders[1]) as two:
        for nsqd in (one, two):
            nsqd.post("/topic/create?topic=mails")
            nsqd.post("/channel/create?topic=mails&channel=workers")
        both = counts(NSQMetric("mails", "workers", f"{one.endpoint},{two.endpoint}"))
        assert both() == (0, None)
        for _ in range(3):
            one.post("/pub?topic=mails", b"mail")
        two.post("/pub?topic=mails", b"mail")
        wait_for(lambda: both() == (4, None))
        one.post("/pub?topic=mails&defer=60000", b"for later")
        two.post("/pub?topic=mails&defer=300", b"for soon")
        wait_for(lambda: both() == (5, None))
        with Consumer(one, "mails", "workers", 2) as consumer:
            consumer.say(f"FIN {consumer.take()}")
            consumer.say(f"REQ {consumer.take()} 0")
            assert both() == (5, None), "one is done, and one was given back"
        one.post("/topic/pause?topic=mails")
        assert both() == (None, None), "what comes now waits in the topic"
        one.post("/topic/unpause?topic=mails")
        assert both() == (5, None)


def test_redis_stream(tmp_path: Path, counts: Callable[[Metric], Counts]) -> None:
    with RedisServer(tmp_path) as server, server.client() as client:
        client.xgroup_create("jobs", "workers", "0", mkstream=True)
        one = counts(RedisStreamMetric(server.url, "jobs", "workers"))
        assert one() == (0, None), "Redis 7.0 does not know it before the first read"
        for i in range(5):
            client.xadd("jobs", {"job": i})
        assert one()[0] == 5
        [(_, entries)] = client.xreadgroup("workers", "a", {"jobs": ">"}, count=3)
        client.xack("jobs", "workers", entries[0][0])
        assert one() == (5, 1)
        client.xtrim("jobs", maxlen=1)
        assert one() == (5, 1)


def test_beanstalkd(tmp_path: Path, counts: Callable[[Metric], Counts]) -> None:
    with Beanstalkd(tmp_path) as server, server.client() as client:
        client.ask("use jobs")
        client.ask("watch jobs")
        one = counts(BeanstalkdMetric(server.url, "jobs"))
        assert one() == (0, None)
        client.put(4)
        client.put(1, delay=60)
        assert one() == (4, None)
        client.ask(f"delete {client.reserve()}")
        client.put(1, delay=1)
        wait_for(lambda: one() == (5, None))


def test_jet_stream(tmp_path: Path, counts: Callable[[Metric], Counts]) -> None:
    with NATS(tmp_path) as nats:
        nats.stream("JOBS", subjects=["JOBS.*"])
        nats.consumer("JOBS", "some", filter_subject="JOBS.a")
        one = counts(JetStreamMetric(nats.url, "JOBS", "some"))
        assert one() == (0, None)
        nats.put("JOBS.a", 4)
        nats.put("JOBS.b", 9)
        # The consumer counts a moment after the stream has answered. Those of another subject are none.
        wait_for(lambda: one() == (4, None))
        first, second = nats.take("JOBS", "some", 2)
        nats.publish(first, "+ACK")
        assert one() == (4, None)
        nats.publish(second, "-NAK")
        # One at a time, as the server takes note of that a moment after its answer.
        wait_for(lambda: nats.take("JOBS", "some", 1) and one() == (5, None), "one is work again")
        nats.request("$JS.API.CONSUMER.DELETE.JOBS.some")
        nats.consumer("JOBS", "some", filter_subject="JOBS.a")
        assert [one(), one()] == [(None, None), (4, None)], "it is another one"


def test_kafka() -> None:
    """Of the answers of its client, which tests/metric/test_kafka.py has from a real one."""
    metric = KafkaMetric("kafka:9092", "g", "jobs", EARLIEST)

    def read(*partitions: Partition) -> tuple[int, int | None, int | None]:
        found = metric.read({metric.question: list(partitions)})
        assert isinstance(found, Measurement)
        return found.waiting, found.arrived, found.finished

    assert read(Partition("jobs", 0, 0, 9, 4), Partition("jobs", 1, 5, 8, 2)) == (8, 17, 9)
    assert read(Partition("jobs", 0, 0, 12, 9), Partition("jobs", 1, 5, 8, 8)) == (3, 20, 17)
    assert read(Partition("jobs", 0, 0, 12, 9), Partition("jobs", 1, 5, 8)) == (6, None, None)
    assert read(Partition("jobs", 0, 0, 2, 0), Partition("jobs", 1, 5, 8, 8)) == (2, 10, 8)
    assert read(Partition("jobs", 0, 0, 1, 0), Partition("jobs", 1, 5, 8, 8)) == (1, None, 8)
