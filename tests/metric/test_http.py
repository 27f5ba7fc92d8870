"""A number in what a server answers; with real servers in tests/contract as well."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.http import HTTPMetric, HTTPSource
from tests.metric.faulty import Server, answers, faults

URL = "http://127.0.0.1:1/stats?secret=hunter22"


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0", 0),
        ("12", 12),
        ('"12"', 12),
        ('" 12 "', 12),
        ('"12.0"', 12),
        ("0.4", 1),
        ("12.000001", 13),
        ('"1.5e3"', 1500),
        ('"+7"', 7),
        ("1e3", 1000),
        ("9007199254740992", 2**53),
        ('"9007199254740992"', 2**53),
        ("-0.0", 0),
    ],
)
def test_a_number_is_rounded_up(value: str, number: int) -> None:
    assert HTTPMetric(URL, "[0]").read(json.loads(f"[{value}]")) == number


@pytest.mark.parametrize(
    "value",
    ["-1", '"-1"', "-0.5", "1e400", "NaN", "Infinity", '"NaN"', '"+Inf"', '"-inf"', "null", "true", '""',
     '"12 items"', '"1_000"', '"1,5"', '"0x10"', '"१२"', "[]", "{}", "[7]", "9007199254740993",
     f'"{"9" * 29}"', f'"{"9" * 5000}"'],
)  # fmt: skip
def test_anything_else_is_an_error(value: str) -> None:
    with pytest.raises(MetricError, match=r"^http://127.0.0.1:1/stats n: ") as error:
        HTTPMetric(URL, "n").read(json.loads(f'{{"n": {value}}}'))
    assert len(str(error.value)) < 200


# The answers of Prometheus 2.42 (HTTP API, "Instant queries").
SERIES = {"metric": {"job": "q"}, "value": [1500000000.123, "3"]}
VECTOR = {"status": "success", "data": {"resultType": "vector", "result": [SERIES]}}
EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}


def test_prometheus() -> None:
    metric = HTTPMetric(URL, "data.result[0].value[1]")
    assert metric.read(VECTOR) == 3
    with pytest.raises(MetricError, match="'result' has no entry 0: it is a list of 0"):
        metric.read(EMPTY)


@pytest.mark.parametrize("fault", FAULTS := faults(b'{"n": 12}'))
def test_a_fault_is_an_error_within_the_deadline_and_never_a_zero(fault: str) -> None:
    with Server(FAULTS[fault]) as server:
        metric = HTTPMetric(server.url(), "n")
        metric.current, metric.source = 5, HTTPSource(server.url(), deadline_s=0.4)
        with pytest.raises(MetricError):
            metric.update()
        metric.source.close()
    assert metric.current == 5


NOT_JSON = [b"", b"12 items", b"<html>0</html>", b'{"n": 1', b"\xff", b"[" * 200_000, b"9" * 5000]


@pytest.mark.parametrize("body", NOT_JSON)
def test_what_is_not_json_is_an_error(body: bytes) -> None:
    with Server(answers(body)) as server:
        metric = HTTPMetric(server.url("/?q=hunter22"))
        with pytest.raises(MetricError, match=f"^http://{server.endpoint}/: the answer is not JSON$"):
            metric.update()
        metric.source.close()


def test_one_answer_for_many_numbers() -> None:
    first, second = HTTPMetric(URL, "a"), HTTPMetric(URL, "b")
    assert first.source.key == second.source.key
    assert (first.read({"a": 1, "b": 2}), second.read({"a": 1, "b": 2})) == (1, 2)
    assert HTTPMetric(URL, "a", {"X": "y"}).source.key != first.source.key != HTTPMetric(URL + "1").source.key


def test_what_is_sent() -> None:
    with Server(answers(b"7")) as server:
        metric = HTTPMetric(
            server.url("/a?b=c", user="me:s3cret@"), headers={"X-Mine": "yes", "accept": "text/plain"}
        )
        metric.update()
        metric.update()
        metric.source.close()
    head = server.heads[0].decode()
    assert metric.current == 7
    assert head.startswith("GET /a?b=c HTTP/1.1\r\n")
    assert "X-Mine: yes\r\n" in head
    assert "Authorization: Basic bWU6czNjcmV0\r\n" in head
    assert server.connections == 1


def test_a_redirect_is_not_followed_so_nobody_else_gets_the_credentials() -> None:
    with (
        Server(answers(b"7")) as other,
        Server(answers(b"7", "307 Moved", f"Location: {other.url()}")) as server,
    ):
        metric = HTTPMetric(server.url(), headers={"Authorization": "Bearer s3cret"})
        with pytest.raises(MetricError, match="redirect") as error:
            metric.update()
        metric.source.close()
    assert len(other) == 0
    assert "s3cret" not in str(error.value)


BAD_URLS = ["", "h:80/x", "ftp://h/", "http://", "http:///x", "http://h:x/", "http://h:0/", "http://h:99999/",
            "http://[::1", "http://u:pa/ss@h/", "http://h/a b", "http://h/\n"]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_bad_url(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^expected a URL such as") as error:
        HTTPMetric(url)
    assert "pa/ss" not in str(error.value)


@pytest.mark.parametrize(
    "header", [("", "x"), ("A b", "x"), ("A", "x\ny"), ("A", " x"), ("A", "ŝ"), ("A:", "x")]
)
def test_bad_header(header: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"^the header .* cannot be sent"):
        HTTPMetric(URL, headers=dict([header]))


def test_requests_is_not_loaded_before_the_first_question() -> None:
    make = f"from microscaling.metric.http import *; HTTPMetric({URL!r})"
    code = f"import sys; {make}; print('requests' in sys.modules)"
    done: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
