"""The metric of a query, with a real Prometheus."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.http import Question
from microscaling.metric.prometheus import PrometheusMetric
from tests.metric.faulty import Server, response
from tests.services.prometheus import Prometheus
from tests.services.service import wait_for


class Exporter:
    """Says so much, for as long as it is up."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.up = True

    def answer(self, server: Server, sock: Any) -> bool:
        if self.up:
            headers = ("Content-Type: text/plain", "Connection: close")
            sock.sendall(response(self.text.encode(), "200 OK", *headers))
        return False


LARGE = Exporter('waiting 500\nof_queue{queue="a"} 1\nof_queue{queue="b"} 2\nnone NaN\n')
SMALL = Exporter("waiting 3\nwith_fraction 0.4\nnegative -1\n")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        Server(LARGE.answer) as first,
        Server(SMALL.answer) as second,
        Prometheus(folder, first.endpoint, second.endpoint) as prometheus,
    ):
        wait_for(lambda: len(prometheus.result("waiting")) == 2)
        yield prometheus


@pytest.fixture
def measure(prometheus: Prometheus) -> Iterator[Any]:
    """Returns a function that gives a query's number."""
    made: list[PrometheusMetric] = []

    def measured(query: str, require_up: str = "", missing: str = "held", **asked: Any) -> int:
        made.append(PrometheusMetric(Question(prometheus.url, **asked), query, require_up))
        made[-1].missing = missing
        made[-1].update()
        return made[-1].current

    yield measured
    for metric in made:
        metric.source.close()  # type: ignore[union-attr]


def test_one_series_or_a_scalar_is_a_number(measure: Any) -> None:
    assert measure("sum(waiting)") == 503
    assert measure('of_queue{queue="b"} # that of b') == 2
    assert measure("with_fraction") == 1, "0.4 of an item is not nothing"
    assert measure("scalar(with_fraction) + 41") == 42
    assert measure('sum(waiting{job="a+b&c"}) or vector(7)') == 7, "the query is encoded"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("of_queue", r'2 series where one is expected \(of_queue{.*queue="a"}; .*queue="b"}\): put sum'),
        ("no_such_series", "the query has no result"),
        ("none", "expected a whole number, got nan"),
        ("waiting / 0 > 1 and on() sum(waiting) > 502", "2 series where one is expected"),
        ("scalar(no_such_series)", "expected a whole number, got nan"),
        ("sum(waiting) / 0", "expected a whole number, got inf"),
        ("negative", "-1 is out of range"),
        ("waiting[1m]", r"the result is a matrix: without the \[...\] at its end it is a number"),
        ('"text"', "the result is a string"),
        ("sum(waiting", "answers with HTTP 400.*parse error"),
    ],
)
def test_anything_else_is_an_error(measure: Any, query: str, why: str) -> None:
    with pytest.raises(MetricError, match=why) as caught:
        measure(query)
    assert "\n" not in str(caught.value)


def test_a_query_without_a_result_is_empty_if_that_is_said(measure: Any) -> None:
    assert measure("no_such_series", missing="empty") == 0
    assert measure("no_such_series", "queue", missing="empty") == 0


def test_a_part_of_a_sum_is_no_number_while_a_target_is_down(measure: Any, prometheus: Prometheus) -> None:
    query = "sum(waiting) # a comment"
    assert measure(query, "queue") == 503
    SMALL.up = False
    try:
        wait_for(lambda: len(prometheus.result("waiting")) == 1)
        assert measure(query) == 500, "which nobody can tell from all of it"
        for missing in ("held", "empty"):
            with pytest.raises(MetricError, match=r"1 of 2 targets of queue are down: 127.0.0.1:\d+$"):
                measure(query, "queue", missing=missing)
    finally:
        SMALL.up = True
    wait_for(lambda: len(prometheus.result("waiting")) == 2)
    assert measure(query, "queue") == 503
    with pytest.raises(MetricError, match=r'the job no"ne of requireUp has no targets'):
        measure(query, 'no"ne')


def test_the_server_gives_up_when_we_do(prometheus: Prometheus) -> None:
    metric = PrometheusMetric(prometheus.url, "sum(waiting)")
    metric.source.limit(0.0001)  # type: ignore[union-attr]
    assert metric.source.timeout_s == 0.0001  # type: ignore[union-attr]
    with pytest.raises(MetricError):
        metric.update()
    metric.source.close()  # type: ignore[union-attr]


def test_timeout_params_headers_and_warnings(caplog: pytest.LogCaptureFixture) -> None:
    body = b'{"status":"success","warnings":["no answer of store 2"],"data":{"resultType":"vector",' \
           b'"result":[{"metric":{},"value":[1,"4"]}]}}'  # fmt: skip

    def answer(server: Server, sock: Any) -> bool:
        sock.sendall(response(body))
        return True

    with Server(answer) as server, caplog.at_level(logging.WARNING):
        question = Question(server.url("/select/0/prometheus/"), {"X-Scope-OrgID": "7"}, {"dedup": "true"})
        metric = PrometheusMetric(question, "a + b")
        metric.source.limit(1.5)  # type: ignore[union-attr]
        metric.update()
        metric.update()
        metric.source.close()  # type: ignore[union-attr]
    assert metric.current == 4
    path = b"GET /select/0/prometheus/api/v1/query?dedup=true&query=a+%2B+b&timeout=1.5 HTTP/1.1"
    assert server.heads[0].startswith(path)
    assert b"X-Scope-OrgID: 7" in server.heads[0]
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"http://{server.endpoint}/select/0/prometheus/ warns: no answer of store 2"], "once"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("ftp://p", "x"), "URL"),
        (("http://p/api/v1/query", "x"), "expected the URL of the server"),
        (("http://p?query=x", "x"), "expected the URL of the server"),
        (("http://p", " "), "query: is empty"),
        ((Question("http://p", params={"time": "0"}), "x"), "time: is not for params"),
    ],
)
def test_mistakes(asked: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        PrometheusMetric(*asked)
