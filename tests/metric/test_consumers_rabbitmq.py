"""The consumers of a real RabbitMQ: who has a message, and what looks so without being so."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from microscaling.errors import MetricError
from microscaling.metric.consumers import rabbitmq as of_rabbitmq
from microscaling.metric.consumers.base import Consumer, Consumers
from microscaling.metric.consumers.choice import consumers_of
from microscaling.metric.rabbitmq import RabbitMQMetric
from tests.services.rabbitmq import RabbitMQ
from tests.services.service import give_up
from tests.workers import stage

CONSUME = """\
import socket, sys, amqp
connection = amqp.Connection(host=sys.argv[1], userid="guest", password="guest")
connection.connect()
channel = connection.channel()
channel.basic_qos(0, 1, False)
for queue in sys.argv[3:]:
    channel.queue_declare(queue, durable=True, auto_delete=False)
    channel.basic_consume(queue, no_ack=sys.argv[2] == "no-ack",
                          callback=lambda message: print("got", flush=True))
print("there", flush=True)
while True:
    try:
        connection.drain_events(timeout=1)
    except socket.timeout:
        pass
"""
PUBLISH = """\
import sys, amqp
with amqp.Connection(host=sys.argv[1], userid="guest", password="guest") as connection:
    connection.channel().basic_publish(amqp.Message("x"), routing_key=sys.argv[2])
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    if not (stage.PACKAGES / "made-of").exists():
        give_up("there are no packages of Celery here")
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


def address(broker: RabbitMQ) -> str:
    return broker.amqp.rpartition("@")[2].strip("/")


@contextlib.contextmanager
def python(code: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", code, *words], env={"PYTHONPATH": str(stage.PACKAGES)},
                          stdout=subprocess.PIPE, text=True) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def until(what: Any, expected: object) -> None:
    deadline = time.monotonic() + 60
    while (found := what()) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def told(source: Consumers) -> object:
    """The consumers, or why they are not known: one that has just come or gone may be shown in part."""
    try:
        return list(source.ask())
    except MetricError as error:
        return str(error)


def test_a_consumer_with_a_message_is_busy(broker: RabbitMQ) -> None:
    source = consumers_of(RabbitMQMetric(broker.url.replace("://", "://guest:guest@"), "jobs"))
    with contextlib.closing(source):
        with python(CONSUME, address(broker), "ack", "jobs") as consumer:
            assert consumer.stdout is not None
            assert consumer.stdout.readline() == "there\n"
            until(lambda: told(source), [Consumer("", False, "127.0.0.1")])
            subprocess.run(
                [sys.executable, "-c", PUBLISH, address(broker), "jobs"],
                env={"PYTHONPATH": str(stage.PACKAGES)}, check=True,
            )  # fmt: skip
            assert consumer.stdout.readline() == "got\n"
            until(lambda: told(source), [Consumer("", True, "127.0.0.1")])
        until(lambda: told(source), [])


@pytest.mark.parametrize(
    ("acks", "queues", "said"),
    [
        ("no-ack", ["quick"], "a consumer of quick does not acknowledge its messages"),
        ("ack", ["celery", "celery@host.celery.pidbox"], "the consumers of celery are Celery's"),
    ],
)
def test_consumers_that_look_idle_at_work_are_refused(
    broker: RabbitMQ, acks: str, queues: list[str], said: str
) -> None:
    source = consumers_of(RabbitMQMetric(broker.url.replace("://", "://guest:guest@"), queues[0]))
    with contextlib.closing(source), python(CONSUME, address(broker), acks, *queues) as consumer:
        assert consumer.stdout is not None
        assert consumer.stdout.readline() == "there\n"
        until(lambda: said in str(told(source)), True)


def test_a_user_who_may_not_see_others_sees_no_idle_consumer(broker: RabbitMQ) -> None:
    """Without the tag `monitoring` both lists are empty for it, so no container counts as idle."""
    broker.api("PUT", "users/half", password="half", tags="management")
    broker.api("PUT", "permissions/%2F/half", configure=".*", write=".*", read=".*")
    source = consumers_of(RabbitMQMetric(broker.url.replace("://", "://half:half@"), "seen"))
    whole = consumers_of(RabbitMQMetric(broker.url.replace("://", "://guest:guest@"), "seen"))
    with (
        contextlib.closing(source),
        contextlib.closing(whole),
        python(CONSUME, address(broker), "ack", "seen") as consumer,
    ):
        assert consumer.stdout is not None
        assert consumer.stdout.readline() == "there\n"
        until(lambda: told(whole), [Consumer("", False, "127.0.0.1")])
        assert source.ask() == []


def test_a_channel_that_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its messages would be missing, and its consumer would look idle."""
    details = {"name": "172.18.0.2:5 -> 172.18.0.3:5672 (1)", "peer_host": "172.18.0.2"}
    one = {"queue": {"name": "jobs"}, "ack_required": True, "channel_details": details}
    answers = {"consumers": [one], "channels": []}

    def fetch(client: object, url: str) -> bytes:
        return json.dumps(answers["channels" if "channels" in url else "consumers"]).encode()

    monkeypatch.setattr(of_rabbitmq.Client, "fetch", fetch)
    with pytest.raises(MetricError, match="does not show the channel of a consumer of jobs"):
        consumers_of(RabbitMQMetric("http://rabbitmq:15672", "jobs")).ask()


def test_a_consumer_that_ends_between_two_requests_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def consumer(number: int) -> dict[str, Any]:
        details = {"name": f"channel {number}", "peer_host": f"172.18.0.{number}"}
        return {"queue": {"name": "jobs"}, "ack_required": True, "channel_details": details}

    channel = {"name": "channel 2", "vhost": "/", "connection_details": {"peer_host": "172.18.0.2"}}
    answers: list[Any] = [[consumer(2), consumer(3)], [channel], [consumer(2), consumer(4)]]
    monkeypatch.setattr(of_rabbitmq.Client, "fetch", lambda client, url: json.dumps(answers.pop(0)).encode())
    found = consumers_of(RabbitMQMetric("http://rabbitmq:15672", "jobs")).ask()
    assert found == [Consumer("", True, "172.18.0.2")]


@pytest.mark.parametrize("answer", [b"{}", b"[7]", b'[{"queue": 5}]', b"<html>"])
def test_another_answer(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_rabbitmq.Client, "fetch", lambda client, url: answer)
    source = consumers_of(RabbitMQMetric("http://rabbitmq:15672", "jobs"))
    with pytest.raises(MetricError, match="not an answer of RabbitMQ's management"):
        source.ask()


def test_what_has_just_gone_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """RabbitMQ 3.10 has a list in place of an object for a moment after the end of a consumer."""
    details = {"name": "172.18.0.2:5 -> 172.18.0.3:5672 (1)", "peer_host": "172.18.0.2"}
    one = {"queue": {"name": "jobs"}, "ack_required": True, "channel_details": details}
    channel = {"name": details["name"], "vhost": "/", "connection_details": details}
    gone = {"name": "another", "vhost": "/", "connection_details": []}
    answers = {"consumers": [one, one | {"channel_details": []}], "channels": [channel, gone]}

    def fetch(client: object, url: str) -> bytes:
        return json.dumps(answers["channels" if "channels" in url else "consumers"]).encode()

    monkeypatch.setattr(of_rabbitmq.Client, "fetch", fetch)
    found = consumers_of(RabbitMQMetric("http://rabbitmq:15672", "jobs")).ask()
    assert found == [Consumer("", True, "172.18.0.2")]
