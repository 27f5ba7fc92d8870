"""The metric of a number that any HTTP server answers, in JSON or in a header."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from microscaling.clients.http.client import Client, FetchError, public_url
from microscaling.clients.http.proxies import is_loopback
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Metric, Source
from microscaling.metric.number import items, total
from microscaling.metric.pace import pace_s, stamp_of
from microscaling.plugins import Field
from microscaling.secrets.masking import secrets_of_body, secrets_of_headers, secrets_of_url
from microscaling.settings import Settings
from microscaling.utils import urls
from microscaling.utils.json_path import Chosen, Every, JSONPath
from microscaling.utils.text import one_line, quoted

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


URL = Field("url", "URL", kind="url", required=True, secret=True, wide=True, check=check_url)
PARAMS = Field("params", "Parameters", kind="params", secret=True, hint="added to the query of the URL")
HEADERS = Field("headers", "Headers", kind="headers", secret=True, check=check_headers)


@dataclass(frozen=True)
class Question:
    """A request to a server: GET, or with a body POST. `params` are added to the query of the URL."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    body: str | None = None
    accept: str = "application/json"

    @property
    def whole_url(self) -> str:
        """The URL with the parameters, percent-encoded."""
        if not self.params:
            return self.url
        # A query belongs in front of a fragment, which is never sent.
        url, mark, fragment = self.url.partition("#")
        separator = "&" if urlsplit(url).query else "" if url.endswith("?") else "?"
        return url + separator + urlencode(self.params, doseq=True) + mark + fragment

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers, with those that a server expects of any client."""
        usual = {"Accept": self.accept}
        if self.body is not None:
            usual["Content-Type"] = "text/plain" if self._json is None else "application/json"
        # In any case: two headers of one name would both be sent.
        given = {name.casefold() for name in self.headers}
        return {name: value for name, value in usual.items() if name.casefold() not in given} | {
            **self.headers
        }

    @property
    def secrets(self) -> list[str]:
        """The credentials in it."""
        of_body = secrets_of_body(self.body or "")
        return [*secrets_of_url(self.whole_url), *secrets_of_headers(self.headers), *of_body]

    @property
    def _json(self) -> Any:
        """The body as parsed JSON; None if it is none."""
        try:
            return json.loads(self.body or "")
        except (ValueError, RecursionError):
            return None


def check_question(question: Question) -> None:
    """Raises ConfigError for a question that cannot be sent."""
    check_url(question.url)
    check_headers(question.headers)
    for name in ("params", "body"):
        try:
            json.dumps(getattr(question, name), ensure_ascii=False).encode()
        except UnicodeEncodeError:  # half of a surrogate pair, as JSON can write one
            raise ConfigError(f"{name}: has a character that cannot be sent") from None


class HTTPSource(Source):
    """One question to one server; several metrics may read numbers from one answer."""

    max_bytes = MAX_BYTES

    def __init__(
        self, question: Question | str, header: bool = False, deadline_s: float = DEADLINE_S
    ) -> None:
        question = Question(question) if isinstance(question, str) else question
        url, headers = question.whole_url, question.all_headers
        # With other headers the same URL may give another answer.
        self.key = ("http", url, tuple(sorted(headers.items())), question.body, header)
        self.name = public_url(url)
        self.secrets = question.secrets
        self.header = header
        # Another machine's server may count what it is asked, and one that gets a POST may do something.
        self.cheap = question.body is None and is_loopback(urlsplit(url).hostname or "")
        self._url, self._headers = url, headers
        self._body = None if question.body is None else question.body.encode()
        self._client = Client(deadline_s, self.max_bytes, self.secrets)

    def fetch(self) -> Any:
        """Returns the parsed body of the answer, or its headers."""
        try:
            # The client follows no redirect, so the credentials reach no other server.
            answer = self._client.good_answer(self._url, self._headers, self._body)
        except FetchError as error:
            raise MetricError(str(error)) from None
        return answer.headers if self.header else self.parsed(answer.body)

    def parsed(self, body: bytes) -> Any:
        """Returns the parsed body of an answer. Raises MetricError."""
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise MetricError(f"{self.name}: the answer is not JSON") from None

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._client.deadline_s = seconds

    def close(self) -> None:
        self._client.close()


class HTTPMetric(Metric):
    """The number at `path` in the answer to a question (items), or in its header of that name; rounded up:
    0.4 of an item is not nothing. A path that selects several values gives their sum.

    The value may be a number or, as with Prometheus, text. Raises ConfigError.
    """

    type_name, summary = "HTTP", "a number in the JSON, or in a header, that a URL answers"
    fields = (
        URL,
        Field(
            "path", "JSON path to the number", wide=True, hint="items[0].waiting; empty: all of the answer"
        ),
        Field("header", "Header", hint="a header of the answer that has the number, in place of a path"),
        PARAMS,
        Field("body", "Body", kind="body", secret=True, hint="with it, the URL is asked with POST"),
        HEADERS,
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> HTTPMetric:
        question = Question(values["url"], values["headers"], values["params"], values["body"])
        return cls(question, values["path"], header=values["header"])

    def __init__(
        self,
        question: Question | str,
        path: str = "",
        headers: Mapping[str, str] | None = None,
        header: str = "",
    ) -> None:
        question = Question(question, headers or {}) if isinstance(question, str) else question
        check_question(question)
        if header and path:
            raise ConfigError("header: goes without a path, which is one into JSON")
        if header and not HEADER_NAME.fullmatch(header):
            raise ConfigError(f"header: expected the name of a header, got {quoted(header)}")
        try:
            self.path = JSONPath(path)
        except ValueError as error:
            raise ConfigError(f"path: {error}") from None
        self.header = header
        self._url = question.whole_url
        self._warned = False
        self.source = HTTPSource(question, bool(header))

    def read(self, answer: Any) -> int:
        name = self.source.name if self.source else ""
        if self.header:
            value, what = answer.get(self.header), f"{name} header {self.header}"
            if value is None:
                raise MetricError(one_line(f"{what}: the answer does not have it"))
            return items(value, what, self.at_least)
        self.pace_s, self.stamp = pace_s(self._url, answer), stamp_of(answer)
        what = f"{name} {self.path.text}".strip()
        try:
            self._check_order(answer, what)
        except LookupError as error:
            raise MetricError(one_line(f"{what}: {error.args[0]}")) from None
        return self._found(answer, what)

    def glance(self, answer: Any) -> int | None:
        # One with a time of its own, as Prometheus has, is as old at a second look as at the first.
        if self.header or self.pace_s or self.stamp is not None:
            return None
        return self._found(answer, self.path.text)

    def _found(self, answer: Any, what: str) -> int:
        try:
            value = self.path.find(answer)
        except LookupError as error:
            raise MetricError(one_line(f"{what}: {error.args[0]}")) from None
        # Each of several values may be text, so adding them up needs the same care as one.
        if self.path.several and not self.path.counts:
            return total(value, what, self.at_least)
        return items(value, what, self.at_least)

    def _check_order(self, answer: Any, what: str) -> None:
        """Logs once if the measured value depends on the order of a list. Raises LookupError for several
        series of Prometheus."""
        # The first series is no choice: when it ends, another one becomes the first.
        chosen = self.path.counts or any(
            isinstance(step, (Chosen, Every)) or step == "length" for step in self.path.steps[2:3]
        )
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
