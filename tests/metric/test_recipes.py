"""The recipes of docs/sources/http.md, with the real servers that they are for."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from microscaling.errors import MetricError
from microscaling.metric import missing
from microscaling.metric.base import Measurement
from microscaling.metric.http import HTTPMetric
from microscaling.metric.rabbitmq import RabbitMQMetric
from microscaling.secrets.references import filled_in_url
from tests.frameworks.conftest import look  # noqa: F401
from tests.frameworks.stage import HERE, Stage, kill, until
from tests.metric.faulty import Server, response
from tests.services.nats import NATS
from tests.services.prometheus import Prometheus
from tests.services.rabbitmq import RabbitMQ
from tests.services.redis import RedisServer
from tests.services.service import wait_for

PAGE = (Path(__file__).parents[2] / "docs" / "sources" / "http.md").read_text("utf-8")


def recipe(title: str, url: str, **other: str) -> HTTPMetric:
    """That of a section, asked at `url`; `other` says what stands there in place of a word."""
    section = PAGE.partition(f"## {title}")[2]
    config = yaml.safe_load(section.partition("```yaml")[2].partition("```")[0])
    text = config["url"]
    for word, mine in other.items():
        assert word in text
        text = text.replace(word, mine)
    made = re.sub(r"//(agent:[^@]*@)?[a-z]+:[0-9]+", url.replace("http:", ""), text, count=1)
    assert made != text
    return HTTPMetric(filled_in_url(made, {}), config["path"])


def measured(metric: HTTPMetric) -> int:
    try:
        metric.update()
    finally:
        metric.source.close()  # type: ignore[union-attr]
    return metric.current


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    with RabbitMQ(tmp_path_factory.mktemp("rabbit")) as rabbit:
        for kind in ("classic", "quorum", "stream"):
            arguments = {"x-queue-type": kind}
            rabbit.api("PUT", f"queues/%2F/{kind}", durable=True, arguments=arguments)
            rabbit.publish(kind, 3)
        yield rabbit


def of_rabbit(rabbit: RabbitMQ, queue: str) -> HTTPMetric:
    return recipe("RabbitMQ over HTTP", rabbit.url.replace("//", "//guest:guest@"), mail=queue)


def test_rabbitmq_counts_a_quorum_queue_sooner_or_later_and_a_classic_one_at_once(rabbit: RabbitMQ) -> None:
    assert measured(of_rabbit(rabbit, "classic")) == 3
    wait_for(lambda: measured(of_rabbit(rabbit, "quorum")) == 3)


def test_rabbitmq_by_its_own_metric_in_every_state(
    rabbit: RabbitMQ,
    tmp_path: Path,
    look: Any,  # noqa: F811
) -> None:
    """With a worker that acknowledges each message at its end, and takes eight at a time."""
    url, queue = rabbit.url.replace("//", "//guest:guest@"), "with+priorities"
    rabbit.api("PUT", f"queues/%2F/{queue}", durable=True, arguments={"x-max-priority": 9})
    worker_of = (sys.executable, str(HERE / "rabbitmq_jobs.py"), queue)
    measure = look(RabbitMQMetric(url, queue))
    with RedisServer(tmp_path) as redis, Stage(redis.url, tmp_path, "rabbitmq_jobs") as stage:
        stage.environ["JOBS_AMQP"] = rabbit.amqp
        assert measure() == Measurement(0, 0), "just declared"
        rabbit.publish(queue, 20)
        assert measure() == Measurement(20, 0)
        with stage.worker(*worker_of) as worker:
            until(lambda: (stage.started(), measure()), (1, Measurement(12, 8)))
            kill(worker)
        until(measure, Measurement(20, 0))
        stage.release()
        with stage.worker(*worker_of):
            until(lambda: (stage.done(), measure()), (20, Measurement(0, 0)))
    quorum = RabbitMQMetric(url, "quorum")
    until(look(quorum), Measurement(3, 0, age_s=5.0))
    assert quorum.pace_s == 5.0, "its numbers are up to 5 s old"


def test_rabbitmq_counts_all_priorities(rabbit: RabbitMQ, look: Any) -> None:  # noqa: F811
    rabbit.api("PUT", "queues/%2F/urgent", durable=True, arguments={"x-max-priority": 9})
    for priority in (0, 5, 9):
        rabbit.publish("urgent", 2, priority)
    url = rabbit.url.replace("//", "//guest:guest@")
    until(look(RabbitMQMetric(url, "urgent")), Measurement(6, 0))


def test_rabbitmq_by_its_own_metric_has_no_number_for_a_stream_nor_for_what_is_not_there(
    rabbit: RabbitMQ,
    look: Any,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(missing, "HINT_AFTER_S", 0.0)
    url = rabbit.url.replace("//", "//guest:guest@")
    with pytest.raises(MetricError, match="queue stream of RabbitMQ is a stream, of which"):
        look(RabbitMQMetric(url, "stream"))()
    absent = RabbitMQMetric(url, "clas.ic")
    with pytest.raises(MetricError, match=r"there is no queue clas\.ic"):
        look(absent)()
    assert 'the queue "clas.ic" has not existed since the start: there are classic, ' in caplog.messages[-1]
    absent.missing = "empty"
    absent.update()
    assert absent.current == 0
    with pytest.raises(MetricError, match="HTTP 401"):
        look(RabbitMQMetric(rabbit.url.replace("//", "//guest:wrong@"), "classic"))()


def test_rabbitmq_has_no_number_for_a_stream_nor_for_what_is_not_there(rabbit: RabbitMQ) -> None:
    with pytest.raises(MetricError, match="entry 0 has no 'messages_ready'"):
        measured(of_rabbit(rabbit, "stream"))
    with pytest.raises(MetricError, match="'items' has no entry 0: it is a list of 0"):
        measured(of_rabbit(rabbit, "nothing"))


class Exporter:
    """Tells its count, for as long as it is up."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.up = True

    def answer(self, server: Server, sock: Any) -> bool:
        if self.up:
            headers = ("Content-Type: text/plain", "Connection: close")
            sock.sendall(response(f"waiting {self.count}\n".encode(), "200 OK", *headers))
        return False


def test_prometheus_does_not_take_what_is_left_of_a_sum_for_all_of_it(tmp_path: Path) -> None:
    large, small = Exporter(500), Exporter(3)
    with (
        Server(large.answer) as first,
        Server(small.answer) as second,
        Prometheus(tmp_path, first.endpoint, second.endpoint) as prometheus,
    ):
        guarded = recipe("Prometheus", prometheus.url)
        plain = HTTPMetric(prometheus.query_url("sum(waiting)"), "data.result[0].value[1]")
        wait_for(lambda: len(prometheus.result("waiting")) == 2)
        assert [measured(guarded), measured(plain)] == [503, 503]
        bare = HTTPMetric(prometheus.query_url("waiting"), "data.result[0].value[1]")
        with pytest.raises(MetricError, match="2 series where one is expected"):
            measured(bare)
        label = f'"{first.endpoint}"'
        one = HTTPMetric(prometheus.query_url("waiting"), f"data.result[metric.instance={label}].value[1]")
        assert measured(one) == 500
        large.up = False
        wait_for(lambda: len(prometheus.result("waiting")) == 1)
        assert measured(plain) == 3  # what the page warns of
        with pytest.raises(MetricError, match="'result' has no entry 0: it is a list of 0"):
            measured(guarded)


def test_nats_is_read_by_name_as_its_order_is_another_at_each_request(tmp_path: Path) -> None:
    with NATS(tmp_path) as nats:
        for stream, waiting in (("OTHER", 2), ("JOBS", 5), ("MORE", 1)):
            nats.queue(stream, "workers", waiting)
        metric = recipe("NATS", nats.url)
        assert {measured(metric) for _ in range(40)} == {5}
        missing = HTTPMetric(
            f"{nats.url}/jsz?acc=$G&consumers=true", metric.path.text.replace("JOBS", "NONE")
        )
        with pytest.raises(MetricError, match="'stream_detail' has no entry with name=NONE"):
            measured(missing)
