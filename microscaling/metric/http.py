"""The metric of a number in the JSON of any HTTP server."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from microscaling.clients.http.client import Client, FetchError, public_url
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Metric, Source
from microscaling.metric.number import items
from microscaling.metric.pace import pace_s, stamp_of
from microscaling.plugins import Field
from microscaling.secrets.masking import secrets_of_headers, secrets_of_url
from microscaling.settings import Settings
from microscaling.utils import urls
from microscaling.utils.json_path import Chosen, JSONPath
from microscaling.utils.text import one_line

log = logging.getLogger("mssmetric")

DEADLINE_S = 2.0
MAX_BYTES = 4 * 2**20
MAX_NAMED = 3
MAX_OF_LABELS = 80
"""Limits of an error that names series: MAX_NAMED of them, with so many characters each."""
FORM = "a URL such as http://host:8080/path?query"
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def check_url(url: str) -> None:
    """Raises ConfigError for an invalid URL, without the URL: it may contain a password."""
    urls.check_url(url, ("http", "https"), FORM)


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises ConfigError with the name of an invalid header, without its value."""
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value) or value != value.strip():
            raise ConfigError(f"the header {name!r:.60} cannot be sent with this name and value")


class HTTPSource(Source):
    """One URL, requested with GET; several metrics may read numbers from one answer."""

    def __init__(
        self, url: str, headers: Mapping[str, str] | None = None, deadline_s: float = DEADLINE_S
    ) -> None:
        # With other headers the same URL may give another answer.
        self.key = ("http", url, tuple(sorted((headers or {}).items())))
        self.name = public_url(url)
        self.secrets = [*secrets_of_url(url), *secrets_of_headers(headers or {})]
        self._url = url
        self._headers = {"Accept": "application/json", **(headers or {})}
        self._client = Client(deadline_s, MAX_BYTES)

    def fetch(self) -> Any:
        """Returns the parsed answer."""
        try:
            # The client follows no redirect, so the credentials reach no other server.
            return json.loads(self._client.fetch(self._url, self._headers))
        except FetchError as error:
            raise MetricError(str(error)) from None
        except (ValueError, RecursionError):
            raise MetricError(f"{self.name}: the answer is not JSON") from None

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._client.deadline_s = seconds

    def close(self) -> None:
        self._client.close()


class HTTPMetric(Metric):
    """The number at `path` in the answer of `url` (items), rounded up: 0.4 of an item is not nothing.

    The value may be a number or, as with Prometheus, text. Raises ConfigError.
    """

    type_name, summary = "HTTP", "a number in the JSON that a URL answers"
    fields = (
        Field("url", "URL", kind="url", required=True, secret=True, wide=True, check=check_url),
        Field(
            "path", "JSON path to the number", wide=True, hint="items[0].waiting; empty: all of the answer"
        ),
        Field("headers", "Headers", kind="headers", secret=True, check=check_headers),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> HTTPMetric:
        return cls(values["url"], values["path"], values["headers"])

    def __init__(self, url: str, path: str = "", headers: Mapping[str, str] | None = None) -> None:
        check_url(url)
        check_headers(headers or {})
        try:
            self.path = JSONPath(path)
        except ValueError as error:
            raise ConfigError(f"path: {error}") from None
        self._url = url
        self._warned = False
        self.source = HTTPSource(url, headers)

    def read(self, answer: Any) -> int:
        self.pace_s, self.stamp = pace_s(self._url, answer), stamp_of(answer)
        what = f"{self.source.name if self.source else ''} {self.path.text}".strip()
        try:
            self._check_order(answer, what)
            value = self.path.find(answer)
        except LookupError as error:
            raise MetricError(one_line(f"{what}: {error.args[0]}")) from None
        return items(value, what, self.at_least)

    def _check_order(self, answer: Any, what: str) -> None:
        """Logs once if the measured value depends on the order of a list. Raises LookupError for several
        series of Prometheus."""
        # The first series is no choice: when it ends, another one becomes the first.
        chosen = any(isinstance(step, Chosen) for step in self.path.steps[2:3])
        if self.path.steps[:2] == ["data", "result"] and not chosen:
            check_series(answer)
        if not self._warned and (guess := self.path.guesses(answer)):
            self._warned = True
            log.warning("%s: %s; if the order may change, choose by a field: [name=VALUE]", what, guess)


def check_series(answer: Any) -> None:
    """Raises LookupError with their names for an answer of Prometheus with more than one series (HTTP API,
    "Instant queries")."""
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(data, Mapping) or data.get("resultType") not in ("vector", "matrix"):
        return
    series = data.get("result")
    if not isinstance(series, list) or len(series) < 2:
        return
    named = "; ".join(_labels(one)[:MAX_OF_LABELS] for one in series[:MAX_NAMED])
    more = f" and {len(series) - MAX_NAMED} more" if len(series) > MAX_NAMED else ""
    raise LookupError(f"{len(series)} series where one is expected ({named}{more}): put sum(...) around it")


def _labels(series: Any) -> str:
    """Formats a series as Prometheus does: waiting{queue="mail"}"""
    metric = series.get("metric") if isinstance(series, Mapping) else None
    labels = dict(metric) if isinstance(metric, Mapping) else {}
    name = labels.pop("__name__", "")
    inner = ", ".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inner}}}"


TYPE = HTTPMetric
