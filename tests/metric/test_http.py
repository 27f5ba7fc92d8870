"""A number in what a server answers; with real servers in tests/contract as well."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.http import HTTPMetric, HTTPSource, Question
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


def vector(*labels: dict[str, str]) -> dict[str, Any]:
    series = [{"metric": each, "value": [1.5, f"{i + 2}"]} for i, each in enumerate(labels)]
    return {"status": "success", "data": {"resultType": "vector", "result": series}}


def test_several_series_of_prometheus_are_an_error_that_names_them() -> None:
    """The first would be another one as soon as a series ends."""
    metric = HTTPMetric(URL, "data.result[0].value[1]")
    two = vector({"__name__": "waiting", "queue": "a", "job": "q"}, {"queue": "b"})
    with pytest.raises(MetricError) as error:
        metric.read(two)
    named = (
        r'2 series where one is expected (waiting{job="q", queue="a"}; {queue="b"}): put sum(...) around it'
    )
    assert str(error.value) == f"http://127.0.0.1:1/stats data.result[0].value[1]: {named}"
    with pytest.raises(MetricError, match=r"9 series where one is expected \(.* and 6 more\)"):
        metric.read(vector(*[{"queue": "x" * 500 + str(i)} for i in range(9)]))
    chosen = HTTPMetric(URL, "data.result[metric.queue=b].value[1]")
    assert chosen.read(two) == 3


@pytest.mark.parametrize("path", ["data.result.length", "length(data.result)", "length(data.result[*])"])
def test_the_number_of_series_of_prometheus(path: str) -> None:
    metric = HTTPMetric(URL, path)
    assert [metric.read(vector(*[{"queue": str(i)} for i in range(n)])) for n in range(3)] == [0, 1, 2]


def test_a_matrix_of_prometheus_and_a_scalar() -> None:
    scalar = {"status": "success", "data": {"resultType": "scalar", "result": [1.5, "7"]}}
    assert HTTPMetric(URL, "data.result[1]").read(scalar) == 7
    matrix = vector({"queue": "a"}, {"queue": "b"})
    matrix["data"]["resultType"] = "matrix"
    with pytest.raises(MetricError, match="2 series"):
        HTTPMetric(URL, "data.result[1].values[0][1]").read(matrix)


def test_a_choice_by_order_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    metric = HTTPMetric(URL, "queues[0].n")
    assert metric.read({"queues": [{"n": 1}]}) == 1
    assert caplog.messages == []
    for _ in range(2):
        assert metric.read({"queues": [{"n": 1}, {"n": 2}]}) == 1
    assert caplog.messages == [
        "http://127.0.0.1:1/stats queues[0].n: 'queues' is a list of 2, of which entry 0 is taken; if the "
        "order may change, choose by a field: [name=VALUE]"
    ]


def test_a_negative_number_may_count_as_0() -> None:
    metric = HTTPMetric(URL, "n")
    metric.at_least = 0
    assert [metric.read({"n": n}) for n in (-1, "-0.5", 0, 4.2)] == [0, 0, 0, 5]
    with pytest.raises(MetricError):
        metric.read({"n": "NaN"})


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


@pytest.mark.parametrize(
    ("more", "sent"),
    [
        ({"body": "grant=x&password=hunter22"}, "grant=x&password=hunter22"),
        ({"body": '{"user": "x", "pass": "hunter22"}'}, '{"user": "x", "pass": "hunter22"}'),
        ({"body": '{"apikey": ["hunter22"]}'}, '{"apikey": ["hunter22"]}'),
        ({"params": {"pass": ["hunter22"]}}, "pass=hunter22"),
    ],
)
def test_what_is_sent_does_not_come_back_in_an_error(more: dict[str, Any], sent: str) -> None:
    with Server(answers(json.dumps({"error": f"cannot read {sent}"}).encode(), "400 Bad Request")) as server:
        metric = HTTPMetric(Question(server.url(), **more))
        with pytest.raises(MetricError, match="cannot read") as error:
            metric.update()
        for source in metric.sources:
            source.close()
    assert "hunter22" not in str(error.value)
    assert "***" in str(error.value)


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
