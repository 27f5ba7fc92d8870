"""What is measured: answers of NSQ, HTTP servers, SQS and Azure, numbers of SQL and Redis."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from microscaling.clients.http.client import Answer, FetchError
from microscaling.errors import MetricError
from microscaling.metric.azure_queue import Account, AzureQueueMetric
from microscaling.metric.base import LARGEST, Metric
from microscaling.metric.http import HTTPMetric
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.prometheus import PrometheusMetric
from microscaling.metric.redis import RedisMetric
from microscaling.metric.sql import SQLMetric
from microscaling.metric.sqs import SQSMetric
from tests.fuzz.checks import SECRET, check_error, fuzz, is_whole
from tests.fuzz.inputs import VALUES, Dice, Raw, dice
from tests.fuzz.wire import Answering, answer

TOPIC = {
    "topic_name": "t",
    "depth": 5,
    "channels": [{"channel_name": "c", "depth": 9}, {"channel_name": "d", "depth": 1}],
}
STATS = {
    "version": "1.3.0",
    "health": "OK",
    "topics": [TOPIC, {"topic_name": "u", "depth": 0, "channels": None}],
}
OLD_STATS = {"status_code": 200, "status_txt": "OK", "data": STATS}
PROMETHEUS = {"data": {"result": [{"value": [1500000000.1, "42.5"]}]}}
NUMBERS = [{"a": n} for n in (1, 0, 2.5, "7", "1e3", 2**53)]
SQS = {
    "Attributes": {
        "ApproximateNumberOfMessages": "12",
        "ApproximateNumberOfMessagesNotVisible": "3",
        "ApproximateNumberOfMessagesDelayed": "0",
    }
}
SQS_ERROR = {
    "__type": "com.amazonaws.sqs#QueueDoesNotExist",
    "message": "The specified queue does not exist.",
}


class Said:
    """In place of a client of HTTP: whoever asks gets this."""

    deadline_s = 2.0

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.answer = Answer(status, headers, body)

    def fetch(self, url: str, headers: Any = None) -> bytes:
        return self.good_answer(url, headers).body

    def good_answer(self, url: str, headers: Any = None, body: bytes | None = None) -> Answer:
        if self.answer.status != 200:
            raise FetchError(f"http://h: answers with HTTP {self.answer.status}", self.answer.status)
        return self.answer

    def ask(self, *args: Any, **kwargs: Any) -> Answer:
        return self.answer

    def close(self) -> None: ...


def check_metric(metric: Metric, update: Callable[[], None] | None = None) -> None:
    """A number that can be a length, or a MetricError and the number from before."""
    metric.current = 3
    try:
        (update or metric.update)()
    except MetricError as error:
        check_error(error)
        assert metric.current == 3
    assert is_whole(metric.current, 0, LARGEST)


@fuzz
@given(dice)
def test_nsq(dice: Dice) -> None:
    metric = NSQMetric(dice.pick(["t", "a\nb"]), "c", f"http://u:{SECRET}@127.0.0.1:1")
    metric.source._client = Said(200, dice.json(STATS, OLD_STATS), {})
    check_metric(metric)


@fuzz
@given(dice)
def test_http(dice: Dice) -> None:
    every = ["data.result[*].value[1]", "length(data)"]
    path = dice.pick(["a", "data.result[0].value[1]", "", '["a\nb"]', *every])
    metric = HTTPMetric(f"http://u:{SECRET}@127.0.0.1:1/x?k={SECRET}", path)
    metric.source._client = Said(200, dice.json(PROMETHEUS, *NUMBERS), {})
    check_metric(metric)


@fuzz
@given(dice)
def test_prometheus(dice: Dice) -> None:
    url = f"http://u:{SECRET}@127.0.0.1:1/x"
    metric = PrometheusMetric(url, dice.pick(["a", "a\nb"]), dice.pick(["", "queue"]))
    metric.missing = dice.pick(["held", "empty"])
    metric.source._client = Said(200, dice.json(PROMETHEUS, *NUMBERS), {})
    check_metric(metric)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, sqlite3.Connection]]:
    path = tmp_path_factory.mktemp("sql") / "a b?.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE jobs (value)")
    connection.execute("PRAGMA synchronous = OFF")
    yield path, connection
    connection.close()


STORED = [v for v in VALUES if not isinstance(v, (Raw, list)) and not (type(v) is int and abs(v) >= 2**63)]
STORED += [b"", b"\xff\0", float("inf"), float("nan"), 2.0**53, 5.0]
EXPRESSIONS = [
    "value", "CAST(value AS TEXT)", "value, value", "count(*)", "sum(value)", "CAST(x'80ff0a41' AS TEXT)",
    "value || ''", "abs(value)", "json(value)", "zeroblob(2000000000)",
]  # fmt: skip


@fuzz
@given(dice)
def test_sql(table: tuple[Path, sqlite3.Connection], dice: Dice) -> None:
    usual = f"SELECT {dice.pick(EXPRESSIONS)} FROM jobs"
    value, query = dice.pick(STORED), dice.text(usual, usual + " ")
    path, connection = table
    connection.execute("DELETE FROM jobs")
    connection.execute("INSERT INTO jobs VALUES (?)", [value])
    if query.strip():
        check_metric(SQLMetric(f"sqlite:///{path}", query))


RESP = [
    b":12\r\n",
    b"*4\r\n:2\r\n$3\r\n1-0\r\n$3\r\n2-0\r\n*1\r\n*2\r\n$1\r\na\r\n$1\r\n2\r\n",
    b"$2\r\n12\r\n",
    b"+OK\r\n",
    b"-ERR wrong\r\n",
    b"-WRONGTYPE Operation\r\n",
    b"*-1\r\n",
    b"$-1\r\n",
    b"-NOAUTH a\r\n",
    b"-LOADING b\r\n",
    b"-MOVED 1 h:1\r\n",
]
RESP_PIECES = [
    b":1\r\n", b":-1\r\n", b":" + b"9" * 5000 + b"\r\n", b":1_0\r\n", b":9007199254740993\r\n",
    b"*1\r\n" * 3000, b"$5\r\n", b"#t\r\n", b"*999999999\r\n", b"$999999999999\r\n", b",1.5\r\n",
    b"(12\r\n", b"%1\r\n", b"_\r\n", b"\r\n", b"\n", b"-", b"$-7\r\n", b"*-5\r\n", b":\xd9\xa3\r\n",
    b"$1\r\n\xff\r\n", b"+\x1b[31m\r\n", b"-a\nb\r\n", b"-" + b"x" * 5000 + b"\r\n", b"*x\r\n", b":\r\n",
]  # fmt: skip


@fuzz
@given(dice)
def test_redis(answering: Answering, dice: Dice) -> None:
    """Over a real connection, on which the library first tells who it is, twice."""
    kind = dice.pick(["list", "stream", "group"])
    metric = RedisMetric(
        f"redis://:{SECRET}@{answering.endpoint}/0", "k", kind, "g" if kind == "group" else ""
    )
    parts = [dice.pick(RESP + RESP_PIECES) for _ in range(1 + dice.number(4))]
    said = b"*%d\r\n" % len(parts) + b"".join(parts) if dice.number(3) == 2 else parts[0]
    answering.answers = b"+OK\r\n" * 4 + dice.damaged(said)
    try:
        check_metric(metric)
    finally:
        metric.source.close()


@pytest.fixture(scope="module")
def sqs() -> Iterator[SQSMetric]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKID",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)  # fmt: skip
        metric = SQSMetric("https://sqs.eu-west-1.amazonaws.com/1/jobs", "eu-west-1")
        metric.source._account._boto = metric.source._account._client()
        yield metric


STATUSES = [200, 200, 200, 200, 400, 403, 500, 503, 301]


def headers_of(dice: Dice, *names: str) -> dict[str, str]:
    """Some of these headers, as a server could send them: any bytes, and no ends of lines."""
    sent = {dice.pick(names): dice.digits() for _ in range(dice.number(3))}
    return {
        name: re.sub("[\r\n]", "", value).encode("utf-8", "replace").decode("latin-1")
        for name, value in sent.items()
    }


@fuzz
@given(dice)
def test_sqs(sqs: SQSMetric, dice: Dice) -> None:
    headers = headers_of(dice, "Content-Type", "x-amzn-query-error", "x-amzn-requestid")
    sqs.source._connection = Said(dice.pick(STATUSES), dice.json(SQS, SQS_ERROR), headers)
    check_metric(sqs, lambda: sqs.note(sqs.read(sqs.source._ask())))


@pytest.fixture(scope="module")
def azure() -> AzureQueueMetric:
    return AzureQueueMetric("jobs", Account("me", "aHVudGVyMg=="))


COUNT = "x-ms-approximate-messages-count"
XML = b'<?xml version="1.0"?><Error><Code>QueueNotFound</Code><Message>not\nthere</Message></Error>'


@fuzz
@given(dice)
def test_azure(azure: AzureQueueMetric, dice: Dice) -> None:
    headers = headers_of(dice, COUNT, "Content-Type", "x-ms-error-code", "Date", "Retry-After", "x-ms-meta-a")
    azure.source._queue = None
    azure.source._connection = Said(dice.pick(STATUSES), dice.damaged(XML), {COUNT: "5", **headers})
    check_metric(azure)


HEAD = answer(b'{"a": 5}')
CHUNKED = (
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n8\r\n{"a": 5}\r\n0\r\n\r\n'
)
HTTP_PIECES = [
    b"\r\n", b"\n", b"\0", b"\xff", b" ", b":", b"HTTP/0.9 200", b"HTTP/1.1 100 Continue\r\n\r\n", b"204",
    b"302", b"-1", b"99999999999999999999", b"Content-Length: -5\r\n", b"Content-Encoding: gzip\r\n",
    b"Location: http://[\r\n", b"ffffffffffffffff\r\n", b"x" * 70_000, b"Set-Cookie: a=b\r\n",
    b"a: b\r\n" * 200, b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n", b"0\r\n\r\n",
    b"HTTP/1.1 200 \x1b[31m\r\n",
]  # fmt: skip


@fuzz
@given(dice)
def test_http_itself(answering: Answering, dice: Dice) -> None:
    """Over a real connection, through the library."""
    metric = HTTPMetric(f"http://u:{SECRET}@{answering.endpoint}/x?k={SECRET}", "a")
    answering.answers = dice.damaged(dice.pick([HEAD, CHUNKED, b""]), HTTP_PIECES, seldom=1)
    try:
        check_metric(metric)
    finally:
        metric.source.close()


@fuzz
@given(dice)
def test_http_bodies(answering: Answering, dice: Dice) -> None:
    metric = HTTPMetric(f"http://u:{SECRET}@{answering.endpoint}/x?k={SECRET}", "a")
    answering.answers = answer(dice.json(*NUMBERS))
    try:
        check_metric(metric)
    finally:
        metric.source.close()
