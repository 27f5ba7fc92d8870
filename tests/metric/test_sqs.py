"""The length of an SQS queue; with moto's server in tests/contract as well."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric import sqs
from microscaling.metric.base import Measurement
from microscaling.metric.sqs import SQSMetric, SQSSource
from tests.metric.faulty import Server, answers, faults
from tests.services.aws import KEYS, REGION, Moto
from tests.services.service import wait_for

pytest.importorskip("boto3", reason="boto3 is not here: pip install '.[sqs]'")

QUEUE = "https://sqs.eu-west-1.amazonaws.com/1/jobs"


def length(value: object) -> bytes:
    """What SQS answers (Amazon SQS API Reference, GetQueueAttributes, in its JSON protocol)."""
    return json.dumps({"Attributes": {"ApproximateNumberOfMessages": value}}).encode()


GOOD = length("12")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(answers(GOOD)) as server:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "s3cret",
            "AWS_ENDPOINT_URL_SQS": server.url(""),
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        yield server


def measured(region: str | None = "eu-west-1", deadline_s: float = 10.0, queue: str = QUEUE) -> SQSMetric:
    metric = SQSMetric(queue, region)
    metric.current = 5
    if metric.source is not None:
        metric.source = SQSSource(queue, "eu-west-1" if region is None else region, deadline_s)
    try:
        metric.update()
    finally:
        metric.source.close()
    return metric


def test_what_is_asked(server: Server) -> None:
    assert measured().current == 12
    head = server.heads[0].decode()
    assert head.startswith("POST / HTTP/1.1\r\n")
    assert "X-Amz-Target: AmazonSQS.GetQueueAttributes\r\n" in head
    assert "Credential=AKIDEXAMPLE/" in head
    assert "/eu-west-1/sqs/aws4_request" in head
    assert len(server) == 1


@pytest.mark.parametrize(
    "value", [12, "-1", "1.5", "", "NaN", None, "१२", "9" * 25, "9007199254740993", [], {}]
)
def test_what_is_no_length_is_an_error(server: Server, value: object) -> None:
    server.behave = answers(length(value))
    if value == 12:
        assert measured().current == 12
        return
    with pytest.raises(MetricError):
        measured()


@pytest.mark.parametrize(
    "body", [b"{}", b"", b"[]", b"null", b'{"Attributes": {}}', b'{"Attributes": 7}', b"<html>0"]
)
def test_an_answer_without_a_length_is_an_error(server: Server, body: bytes) -> None:
    server.behave = answers(body)
    with pytest.raises(MetricError):
        measured()


@pytest.mark.parametrize("fault", FAULTS := faults(GOOD))
def test_a_fault_is_an_error_after_one_try(server: Server, fault: str) -> None:
    server.behave = FAULTS[fault]
    with pytest.raises(MetricError, match=r"^(SQS queue|Approximate.* of) https://sqs\."):
        measured(deadline_s=0.5)
    assert len(server) <= 1


def test_what_aws_says_is_in_the_error(server: Server) -> None:
    said = b'{"__type": "com.amazonaws.sqs#AccessDenied", "message": "User \\n is not authorized"}'
    server.behave = answers(said, "403 Forbidden", "Content-Type: application/x-amz-json-1.0")
    with pytest.raises(MetricError, match=r"jobs: AccessDenied.*: User \\n is not authorized$"):
        measured()


def test_no_credentials(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(MetricError, match="Unable to locate credentials"):
        measured()
    assert len(server) == 0


def test_where_credentials_come_from_may_hang(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 waits a minute for a container's credentials, and tries again."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        before = set(threading.enumerate())
        with pytest.raises(MetricError, match=r"no answer within 0\.3 s"):
            measured(deadline_s=0.3)
        (abandoned,) = set(threading.enumerate()) - before
    abandoned.join(60)  # nobody listens any more, so that boto3 gives up at last


def test_every_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Moto(tmp_path) as moto, contextlib.closing(moto.client()) as client:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL_SQS": moto.url}.items():
            monkeypatch.setenv(name, value)
        url = client.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
        metric = SQSMetric(url, REGION)

        def measure() -> Measurement | None:
            metric.update()
            return metric.measured

        def count(waiting: int, running: int, future: int = 0) -> Measurement:
            return Measurement(waiting, running, future=future, exact=False)

        missing = SQSMetric(f"{url}s", REGION)
        with pytest.raises(MetricError, match=r"NonExistentQueue|QueueDoesNotExist"):
            missing.update()
        missing.source.close()
        wait_for(lambda: _answers(measure))  # the first time boto3 is loaded
        assert measure() == count(0, 0), "it is empty"
        for _ in range(5):
            client.send_message(QueueUrl=url, MessageBody="job")
        client.send_message(QueueUrl=url, MessageBody="job", DelaySeconds=900)
        assert measure() == count(5, 0, 1)
        taken = client.receive_message(QueueUrl=url, MaxNumberOfMessages=3)["Messages"]
        assert measure() == count(2, 3, 1)
        client.delete_message(QueueUrl=url, ReceiptHandle=taken[0]["ReceiptHandle"])
        assert measure() == count(2, 2, 1)
        # The worker is gone: its messages come back at the end of their time.
        for message in taken[1:]:
            client.change_message_visibility(
                QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=1
            )
        wait_for(lambda: measure() == count(4, 0, 1))
        metric.source.close()


def _answers(measure: Callable[[], object]) -> bool:
    with contextlib.suppress(MetricError):
        measure()
        return True
    return False


def test_what_another_service_does_not_count_is_not_known(server: Server) -> None:
    assert measured().measured == Measurement(12, None, exact=False)
    counts = {"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "-1"}
    server.behave = answers(json.dumps({"Attributes": counts}).encode())
    with pytest.raises(MetricError, match="ApproximateNumberOfMessagesNotVisible of https"):
        measured()


def test_queues_of_a_region_share_a_client_and_ask_for_themselves(server: Server) -> None:
    one, same, other = (SQSMetric(url, "eu-west-1") for url in (QUEUE, QUEUE, QUEUE + "2"))
    assert one.source.key == same.source.key != other.source.key
    assert one.source._account is other.source._account is not SQSMetric(QUEUE, "eu-west-2").source._account
    one.update()
    other.update()
    assert len(server) == 2
    one.source.close()
    other.source.close()


@pytest.mark.parametrize(
    ("region", "environ", "found"),
    [
        ("eu-west-1", {}, True),
        (None, {"AWS_REGION": "eu-west-1"}, True),
        ("", {"AWS_DEFAULT_REGION": "eu-west-1"}, True),
        ("", {"AWS_CONFIG_FILE": "profile"}, True),
        ("", {}, False),
        (None, {"AWS_DEFAULT_REGION": ""}, False),
    ],
)
def test_a_region_is_needed(server, region, environ, found, monkeypatch, tmp_path) -> None:
    (tmp_path / "profile").write_text("[default]\nregion = eu-west-1\n")
    monkeypatch.chdir(tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    metric = SQSMetric(QUEUE, region)
    if found:
        metric.source.check()
        return
    with pytest.raises(ConfigError, match=r"^AWS_REGION: is not set"):
        metric.source.check()


def test_boto3_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[sqs\]' in the clone"):
        SQSMetric(QUEUE, "eu-west-1").source.check()
    with pytest.raises(MetricError, match=r"pip install '\.\[sqs\]' in the clone"):
        SQSMetric(QUEUE, "eu-west-1").update()


def test_boto3_is_not_loaded_before_it_is_needed() -> None:
    make = f"from microscaling.metric.sqs import *; SQSMetric({QUEUE!r})"
    code = f"import sys; {make}; print('boto3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_short_life() -> None:
    """What nobody looks at any more is not kept."""
    SQSMetric(QUEUE, "nowhere-1")
    assert not [account for account in sqs._accounts.values() if account.region == "nowhere-1"]


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_pause_that_it_asks_for_is_kept(server: Server, status: str) -> None:
    server.behave = answers(b"{}", status, "Retry-After: 3600")
    source = SQSSource(QUEUE, "eu-west-1", 60.0)
    try:
        for _ in range(4):
            with pytest.raises(MetricError):
                source.fetch()
    finally:
        source.close()
    assert len(server) == 1
