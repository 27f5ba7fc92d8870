"""What is known of how often an HTTP API measures."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.metric.http import HTTPMetric
from microscaling.metric.pace import pace_s, stamp_of

QUEUES = "http://rabbitmq:15672/api/queues"
TOTALS = "?name=%5Email%24&use_regex=true&page=1&page_size=1&disable_stats=true&enable_queue_totals=true"
CLASSIC = {"name": "mail", "vhost": "/", "type": "classic", "messages": 3, "messages_ready": 3}
QUORUM = CLASSIC | {"type": "quorum"}


@pytest.mark.parametrize(
    ("url", "answer", "expected"),
    [
        (f"{QUEUES}/%2F/mail", CLASSIC, 5.0),
        (f"{QUEUES}/%2F", [CLASSIC], 5.0),
        (f"{QUEUES}/%2F{TOTALS}", {"items": [CLASSIC], "page": 1}, 0.0),
        (f"{QUEUES}/%2F{TOTALS}", {"items": [QUORUM], "page": 1}, 5.0),
        (f"{QUEUES}/%2F{TOTALS}", {"items": []}, 0.0),
        (f"{QUEUES}/%2F/mail", {"error": "not_found"}, 0.0),
        ("http://my.own/api/queues/mail", {"waiting": 4}, 0.0),
        ("http://h/", {"waiting": 4}, 0.0),
        ("http://h/", 7, 0.0),
        ("http://h/api/queues", 7, 0.0),
        ("http://h/api/queues", None, 0.0),
    ],
)
def test_rabbitmq(url: str, answer: Any, expected: float) -> None:
    assert pace_s(url, answer) == expected


def prometheus(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


@pytest.mark.parametrize(
    ("answer", "pace", "stamp"),
    [
        (prometheus("vector", [{"metric": {}, "value": [1700000000.5, "12"]}]), 15.0, 1700000000.5),
        (prometheus("scalar", [1700000000, "12"]), 15.0, 1700000000.0),
        (prometheus("vector", []), 15.0, None),
        (prometheus("vector", [{"metric": {}}]), 15.0, None),
        (prometheus("vector", [7]), 15.0, None),
        (prometheus("scalar", ["now", "12"]), 15.0, None),
        (prometheus("vector", None), 0.0, None),
        ({"data": [1]}, 0.0, None),
        ([1], 0.0, None),
    ],
)
def test_prometheus(answer: Any, pace: float, stamp: float | None) -> None:
    assert (pace_s("http://p/api/v1/query?query=x", answer), stamp_of(answer)) == (pace, stamp)


def test_the_metric_tells_it() -> None:
    metric = HTTPMetric("http://p/api/v1/query?query=x", "data.result[0].value[1]")
    answer = prometheus("vector", [{"metric": {}, "value": [1700000000, "12"]}])
    assert (metric.read(answer), metric.pace_s, metric.stamp) == (12, 15.0, 1700000000.0)
