"""The jobs of a tube in every state of a real beanstalkd; the truth is what the test has done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric import missing
from microscaling.metric.base import Measurement
from microscaling.metric.beanstalkd import BeanstalkdMetric
from tests.frameworks.conftest import look  # noqa: F401
from tests.frameworks.stage import until
from tests.services.beanstalkd import Beanstalkd, BeanstalkdClient


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Beanstalkd]:
    with Beanstalkd(tmp_path) as server:
        yield server


@pytest.fixture
def client(server: Beanstalkd) -> Iterator[BeanstalkdClient]:
    with server.client() as client:
        yield client


def test_every_state(server: Beanstalkd, client: BeanstalkdClient, look: Any) -> None:  # noqa: F811
    metric = BeanstalkdMetric(server.url, "mails")
    measure = look(metric)
    assert measure() is None
    assert metric.current == 0, "it is not there"
    client.ask("use mails")
    assert measure() == Measurement(0, 0), "it is empty"
    client.put(4)
    client.put(2, priority=1)  # these are "urgent", and are among the ready ones
    assert measure() == Measurement(6, 0)
    client.put(3, delay=3600)
    client.put(1, delay=1)
    until(measure, Measurement(7, 0, future=3))

    with server.client() as worker:
        worker.ask("watch mails")
        taken = [worker.reserve() for _ in range(4)]
        assert measure() == Measurement(3, 4, future=3)
        worker.ask(f"release {taken[0]} 1 3600")
        worker.ask(f"bury {taken[1]} 1")
        assert worker.ask(f"delete {taken[2]}") == "DELETED"
        assert measure() == Measurement(3, 1, future=4), "a dead job is not counted"
    until(measure, Measurement(4, 0, future=4))  # a job of a worker that is gone comes back by itself

    assert client.ask("pause-tube mails 3600") == "PAUSED"
    assert measure() == Measurement(4, 0, future=4, paused=True)
    assert metric.current == 0, "nobody gets a job"
    client.ask("pause-tube mails 0")
    assert measure() == Measurement(4, 0, future=4)


def test_a_tube_that_is_over_is_empty(server: Beanstalkd, look: Any) -> None:  # noqa: F811
    metric = BeanstalkdMetric(server.url, "mails")
    measure = look(metric)
    with server.client() as client:
        client.ask("use mails")
        client.put(1)
        assert measure() == Measurement(1, 0)
        client.ask("watch mails")
        client.ask(f"delete {client.reserve()}")
    until(measure, None)
    assert metric.current == 0
    metric.missing = "held"
    with pytest.raises(MetricError, match="beanstalkd has no tube mails"):
        measure()


def test_all_tubes_of_one_server_are_asked_for_at_once(
    server: Beanstalkd,
    client: BeanstalkdClient,
    look: Any,  # noqa: F811
) -> None:
    metrics = [BeanstalkdMetric(server.url, tube) for tube in ("a", "none", "b")]
    first = metrics[0].source
    look(metrics[0])
    for tube, count in (("a", 2), ("b", 3)):
        client.ask(f"use {tube}")
        client.put(count)
    for other in metrics[1:]:
        assert first.key == other.source.key  # type: ignore[union-attr]
        first.also(other.source)  # type: ignore[arg-type, union-attr]
    answer = first.fetch()  # type: ignore[union-attr]
    assert [metric.read(answer) for metric in metrics] == [
        Measurement(2, 0, arrived=2), 0, Measurement(3, 0, arrived=3),
    ]  # fmt: skip


def test_measuring_makes_no_tube(server: Beanstalkd, client: BeanstalkdClient, look: Any) -> None:  # noqa: F811
    look(BeanstalkdMetric(server.url, "mails"))()
    client.ask("list-tubes")
    assert client.lines.read(len("---\n- default\n\r\n")) == b"---\n- default\n\r\n"


def test_a_misspelt_tube_is_said_once(
    server: Beanstalkd,
    client: BeanstalkdClient,
    look: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(missing, "HINT_AFTER_S", 0.0)
    client.ask("use mails")
    measure = look(BeanstalkdMetric(server.url, "mail"))
    for _ in range(3):
        measure()
    [line] = caplog.messages
    assert 'the tube "mail" has not existed since the start, but "mails" exists' in line


@pytest.mark.parametrize("tube", ["", "-a", "a b", "a\r\nput 1 0 1 1", "ä", "x" * 201])
def test_a_tube_that_cannot_be_is_refused(tube: str) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 200 letters"):
        BeanstalkdMetric("beanstalkd://h", tube)


@pytest.mark.parametrize("url", ["h:11300", "tcp://h", "beanstalkd://h/x", "beanstalkd://u:secret@h"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"expected beanstalkd://beanstalkd:11300$") as caught:
        BeanstalkdMetric(url)
    assert "secret" not in str(caught.value)
