"""A server that asks for a pause gets it."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest

from microscaling.clients.http.client import Client, FetchError
from microscaling.clients.http.retry_after import pause_s
from microscaling.metric.base import MetricError
from microscaling.metric.http import HTTPSource
from microscaling.metric.nsq_stats import NSQSource
from tests.metric.faulty import Server, answers

NOW = 1700000000.0


def date(seconds: float) -> str:
    return formatdate(NOW + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "30"}, 30.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "99999999"}, 3600.0),
        ({"Retry-After": "9" * 5000}, 3600.0),
        ({"Retry-After": date(20), "Date": date(0)}, 20.0),
        ({"Retry-After": date(-20), "Date": date(0)}, 0.0),
        ({"Retry-After": date(20)}, 0.0),
        ({"Retry-After": "soon"}, 0.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "٣"}, 0.0),
        ({}, 0.0),
    ],
)
def test_what_is_asked_for(headers: dict[str, str], expected: float) -> None:
    for status in (429, 503):
        assert pause_s(status, headers) == expected
    for status in (200, 301, 404, 500):
        assert pause_s(status, headers) == 0.0


def busy(seconds: object, status: str = "429 Too Many Requests") -> Any:
    return answers(b"{}", status, f"Retry-After: {seconds}")


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
@pytest.mark.parametrize("source", [HTTPSource, NSQSource])
def test_a_source_is_not_asked_in_the_pause(source: Any, status: str) -> None:
    with Server(busy(3600, status)) as server:
        asked = source(server.url("/") if source is HTTPSource else server.endpoint)
        errors = []
        for _ in range(5):
            with pytest.raises(MetricError) as error:
                asked.fetch()
            errors.append(str(error.value))
        asked.close()
        assert len(server) == 1
    assert len(set(errors)) == 1, "the cause stays the same, so it is said once"
    said = "and is not asked again for 3600.0 s, as its Retry-After says"
    assert f"answers with HTTP {status[:3]}, {said}" in errors[0]


def test_after_the_pause_it_is_asked_again() -> None:
    with Server(busy(1)) as server:
        client = Client()
        with pytest.raises(FetchError):
            client.fetch(server.url())
        server.behave = answers(b"7")
        until = time.monotonic() + 30
        body = b""
        while not body and time.monotonic() < until:
            try:
                body = client.fetch(server.url())
            except FetchError:
                time.sleep(0.05)
        client.close()
        assert (body, len(server)) == (b"7", 2)


def test_only_that_question_waits() -> None:
    with Server(busy(3600)) as server:
        client = Client()
        assert client.ask("PUT", server.url("/a")).status == 429
        with pytest.raises(FetchError):
            client.ask("PUT", server.url("/a"))
        assert client.ask("GET", server.url("/a")).status == 429
        client.close()
        assert len(server) == 2


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Internal Server Error"])
def test_without_the_header_or_with_another_status_it_is_asked_as_before(status: str) -> None:
    header = "Retry-After: 3600" if status[:3] == "500" else "X: y"
    with Server(answers(b"{}", status, header)) as server:
        client = Client()
        for _ in range(3):
            with pytest.raises(FetchError):
                client.fetch(server.url())
        client.close()
        assert len(server) == 3
