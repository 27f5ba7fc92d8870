"""A number that any HTTP server tells in JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Metric, Source, whole_number
from microscaling.metric.pace import pace_s, stamp_of
from microscaling.utils.http import Client, FetchError, public_url
from microscaling.utils.json_path import JSONPath
from microscaling.utils.masking import secrets_of_headers, secrets_of_url
from microscaling.utils.text import one_line

DEADLINE_S = 2.0
MAX_BYTES = 4 * 2**20
NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")
NOT_A_NUMBER = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def check_url(url: str) -> None:
    """Raises ConfigError, which does not show the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise ConfigError("expected a URL such as http://host:8080/path?query (in a password, / is %2F)")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises ConfigError that names the header, and not its value."""
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value) or value != value.strip():
            raise ConfigError(f"the header {name!r:.60} cannot be sent with this name and value")


class HTTPSource(Source):
    """One URL, asked with GET; several numbers may be taken from one answer."""

    def __init__(
        self, url: str, headers: Mapping[str, str] | None = None, deadline_s: float = DEADLINE_S
    ) -> None:
        self.key = ("http", url, tuple(sorted((headers or {}).items())))
        self.name = public_url(url)
        self.secrets = [*secrets_of_url(url), *secrets_of_headers(headers or {})]
        self._url = url
        self._headers = {"Accept": "application/json", **(headers or {})}
        self._client = Client(deadline_s, MAX_BYTES)

    def fetch(self) -> Any:
        """The parsed answer. No redirect is followed, so credentials go nowhere else."""
        try:
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
    """The number at `path` of what `url` answers (items), rounded up: 0.4 of an item is not nothing.

    It may be a number or, as Prometheus writes it, one in text. Raises ConfigError.
    """

    def __init__(self, url: str, path: str = "", headers: Mapping[str, str] | None = None) -> None:
        check_url(url)
        check_headers(headers or {})
        try:
            self.path = JSONPath(path)
        except ValueError as error:
            raise ConfigError(f"path: {error}") from None
        self._url = url
        self.source = HTTPSource(url, headers)

    def read(self, answer: Any) -> int:
        self.pace_s, self.stamp = pace_s(self._url, answer), stamp_of(answer)
        what = f"{self.source.name if self.source else ''} {self.path.text}".strip()
        try:
            value = self.path.find(answer)
        except LookupError as error:
            raise MetricError(one_line(f"{what}: {error.args[0]}")) from None
        return whole_number(_rounded_up(_number(value)), what)


def _number(value: Any) -> Any:
    if isinstance(value, str):
        if NUMBER.fullmatch(value.strip()):
            return float(value) if set(value) & set(".eE") else int(value)
        if NOT_A_NUMBER.fullmatch(value.strip()):
            return float(value)
    return value


def _rounded_up(value: Any) -> Any:
    """Only what can be the length of a queue: -0.5 is not 0."""
    return math.ceil(value) if isinstance(value, float) and 0 <= value < math.inf else value
