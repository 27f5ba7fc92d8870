"""The lag of a consumer group in every state of a real Kafka; the truth is what the test has done."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric import kafka_client
from microscaling.metric.base import Measurement
from microscaling.metric.kafka import KafkaMetric
from tests.frameworks.conftest import look  # noqa: F401
from tests.frameworks.stage import until
from tests.metric.proxy import Pipe, Proxy
from tests.services.kafka import Kafka, take
from tests.services.service import wait_for

pytest.importorskip("confluent_kafka", reason="confluent-kafka is not here: pip install '.[kafka]'")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with Kafka(tmp_path_factory.mktemp("kafka")) as kafka:
        kafka.warm_up()
        yield kafka


def test_every_state(kafka: Kafka, look: Any) -> None:  # noqa: F811
    measure = look(KafkaMetric(kafka.servers, "workers", "jobs"))
    with pytest.raises(MetricError, match="group workers of Kafka: there is no topic jobs"):
        measure()
    assert "jobs" not in kafka.topics(), "to ask for it creates no topic"
    kafka.create("jobs", 3)

    def without_error() -> Any:
        with contextlib.suppress(MetricError):  # until its partitions have their leaders
            return measure()

    until(without_error, Measurement(0))  # it is empty
    kafka.put("jobs", {0: 4, 1: 4, 2: 4})
    with pytest.raises(MetricError, match=r"has committed nothing in partition 0 of jobs: set offsetReset"):
        measure()
    earliest = look(KafkaMetric(kafka.servers, "workers", "jobs", "earliest"))
    latest = look(KafkaMetric(kafka.servers, "workers", "jobs", "latest"))
    assert (earliest(), latest()) == (Measurement(12), Measurement(0))

    with contextlib.closing(kafka.consumer("workers", "jobs")) as consumer:
        taken = take(consumer, 5)
        assert earliest() == Measurement(12), "until it commits, its messages count"
        consumer.commit(asynchronous=False)
        assert earliest() == Measurement(7)
        begun = {message.partition() for message in taken}
        assert latest() == Measurement(sum(4 for part in begun) - 5)
        take(consumer, 7)
        consumer.commit(asynchronous=False)
        assert measure() == Measurement(0)
        kafka.put("jobs", {0: 3})
        take(consumer, 2)
    # It has gone without a commit: all of them are for the next one.
    assert measure() == Measurement(3)


def test_several_groups_and_topics_are_asked_for_at_once(kafka: Kafka, look: Any) -> None:  # noqa: F811
    for topic, count in (("a", 2), ("b", 5)):
        kafka.create(topic, 1)
        kafka.put(topic, {0: count})
    metrics = [
        KafkaMetric(kafka.servers, group, topics, "earliest")
        for group, topics in (("g", "a"), ("g", "a, b"), ("h", "b"), ("h", "b,none"))
    ]
    first: Any = metrics[0].source
    look(metrics[0])
    for metric in metrics[1:]:
        assert metric.source is not None
        assert metric.source.key == first.key
        first.also(metric.source)
    answer = first.fetch()
    found = [metric.read(answer) for metric in metrics[:3]]
    assert [one.waiting for one in found if isinstance(one, Measurement)] == [2, 7, 5]
    with pytest.raises(MetricError, match="there is no topic none"):
        metrics[3].read(answer)
    metrics[3].missing = "empty"
    assert metrics[3].read(answer) == 0


def test_what_was_deleted_by_its_age_is_no_backlog(kafka: Kafka, look: Any) -> None:  # noqa: F811
    from confluent_kafka import TopicPartition

    kafka.create("old", 1)
    kafka.put("old", {0: 10})
    with contextlib.closing(kafka.consumer("workers", "old")) as consumer:
        take(consumer, 2)
        consumer.commit(offsets=[TopicPartition("old", 0, 2)], asynchronous=False)
    measure = look(KafkaMetric(kafka.servers, "workers", "old"))
    assert measure() == Measurement(8)
    kafka.admin.delete_records([TopicPartition("old", 0, 7)])[TopicPartition("old", 0)].result(30)
    until(measure, Measurement(3))


def test_an_open_transaction_is_no_backlog(kafka: Kafka, look: Any) -> None:  # noqa: F811
    from confluent_kafka import Producer

    kafka.create("paid", 1)
    kafka.put("paid", {0: 3})
    measure = look(KafkaMetric(kafka.servers, "workers", "paid", "earliest"))
    assert measure() == Measurement(3)
    producer = Producer({"bootstrap.servers": kafka.servers, "transactional.id": "t", "log_level": 0})
    producer.init_transactions(60)
    producer.begin_transaction()
    for _ in range(4):
        producer.produce("paid", b"job")
    producer.flush(60)
    assert measure() == Measurement(3)
    producer.commit_transaction(60)
    # Each transaction has a marker of its own behind its messages, which counts as one.
    until(measure, Measurement(8))


def test_new_partitions_are_found(
    kafka: Kafka,
    look: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from confluent_kafka.admin import NewPartitions

    caplog.set_level(logging.INFO, "mssmetric")
    monkeypatch.setattr(kafka_client, "PARTITIONS_S", 0.0)
    kafka.create("grown", 1)
    kafka.put("grown", {0: 2})
    measure = look(KafkaMetric(kafka.servers, "workers", "grown", "earliest"))
    assert measure() == Measurement(2)
    kafka.admin.create_partitions([NewPartitions("grown", 2)])["grown"].result(30)
    kafka.put("grown", {1: 3})
    until(measure, Measurement(5))
    said = "group workers of Kafka has {} partition(s) to read: a container above that number gets none"
    assert [message.partition(" (max")[0] for message in caplog.messages] == [said.format(1), said.format(2)]


def test_a_login_that_is_refused_is_an_error_without_the_password(kafka: Kafka, look: Any) -> None:  # noqa: F811
    kafka.create("secret", 1)
    options = {
        "security.protocol": ["SASL_PLAINTEXT"], "sasl.mechanism": ["PLAIN"], "sasl.username": ["agent"],
    }  # fmt: skip
    good = KafkaMetric(kafka.login, "workers", "secret", options={**options, "sasl.password": ["s3cret"]})
    measure = look(good)
    wait_for(lambda: _measures(measure))
    assert measure() == Measurement(0)
    bad = KafkaMetric(kafka.login, "workers", "secret", options={**options, "sasl.password": ["hunter22"]})
    with pytest.raises(MetricError, match="Authentication failed") as caught:
        look(bad)()
    assert "hunter22" not in str(caught.value)
    assert "hunter22" in bad.source.secrets  # type: ignore[union-attr]


def test_answers_that_come_too_late_are_errors_and_end_nothing(kafka: Kafka) -> None:
    kafka.create("late", 3)
    kafka.put("late", {0: 2})
    found: list[Any] = []

    def many(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(40):
            metric = KafkaMetric(proxy.endpoint, "workers", "late", "earliest")
            source: Any = metric.source
            source.limit(rng.choice((0.05, 0.1, 0.3)))
            for _ in range(rng.randint(1, 3)):
                try:
                    found.append(metric.read(source.fetch()))
                except MetricError as error:
                    found.append(str(error))
            source.close()

    with Proxy(kafka.behind, kafka.proxy) as proxy:
        proxy.fault = late
        threads = [threading.Thread(target=many, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    measured = [one for one in found if not isinstance(one, str)]
    assert all(one == Measurement(2) for one in measured)
    assert any("no complete answer within" in one for one in found if isinstance(one, str))


def late(pipe: Pipe, answer: bytes) -> bool:
    """Passes it on, some of it only after the deadline."""
    pipe.proxy.closing.wait(random.choice((0.0, 0.0, 0.02, 0.1, 0.3)))
    pipe.client.sendall(answer)
    return True


def _measures(measure: Any) -> bool:
    with contextlib.suppress(MetricError):
        measure()
        return True
    return False


@pytest.mark.parametrize(
    "servers", ["", "kafka", "kafka:", "http://kafka:9092", "a:1,,b:2", "u:p@kafka:9092"]
)
def test_servers_that_cannot_be_are_refused(servers: str) -> None:
    with pytest.raises(ConfigError, match="expected host:port, or several"):
        KafkaMetric(servers, "g", "t")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sasl.pasword": ["x"]}, r"sasl.pasword is not one .*; did you mean sasl.password\?"),
        ({"plugin.library.paths": ["/tmp/x.so"]}, "is not one of those for the connection"),
        ({"sasl.kerberos.kinit.cmd": ["rm"]}, "is not one of those for the connection"),
        ({"client.id": ["a", "b"]}, "client.id: expected one value"),
    ],
)
def test_other_options_than_those_of_the_connection_are_refused(options: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        KafkaMetric("k:1", "g", "t", options=options)


def test_an_option_with_a_bad_value_is_found_by_the_check() -> None:
    metric = KafkaMetric(
        "k:1", "g", "t", options={"security.protocol": ["TLS"], "sasl.password": ["hunter22"]}
    )
    with pytest.raises(ConfigError, match=r"^options: .*security.protocol") as caught:
        metric.source.check()  # type: ignore[union-attr]
    assert "hunter22" not in str(caught.value)


def test_a_topic_is_needed() -> None:
    with pytest.raises(ConfigError, match="topics: expected the name"):
        KafkaMetric("k:1", "g", " , ")


def test_the_library_is_an_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "confluent_kafka", None)
    metric = KafkaMetric("k:1", "g", "t")
    with pytest.raises(ConfigError, match=r"pip install '\.\[kafka\]'"):
        metric.source.check()  # type: ignore[union-attr]
