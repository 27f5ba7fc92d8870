"""The metric of a query to Prometheus, or to a server with the same HTTP API."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from microscaling.clients.http.client import Client, FetchError, public_url
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Metric, Source
from microscaling.metric.http import (
    DEADLINE_S,
    HEADERS,
    MAX_BYTES,
    PARAMS,
    URL,
    Question,
    check_question,
    check_series,
)
from microscaling.metric.missing import HELD, Absent
from microscaling.metric.number import items
from microscaling.metric.pace import PROMETHEUS_S, stamp_of
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.utils.text import few, one_line

log = logging.getLogger("mssmetric")

PATH = "/api/v1/query"
FORM = "the URL of the server, such as http://prometheus:9090, and in front of /api/v1/query"
MAX_OF_WARNING = 300
OURS = ("query", "timeout", "time")
"""Parameters that are not the user's: `time` would freeze the number."""


def check_url(url: str) -> None:
    """Raises ConfigError for an invalid URL, without the URL: it may contain a password."""
    URL.check(url)  # type: ignore[misc]
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.path.rstrip("/").endswith(PATH):
        raise ConfigError(f"expected {FORM}")


def check_params(params: Mapping[str, Any]) -> None:
    """Raises ConfigError for a parameter that would change the meaning of the query."""
    if taken := [name for name in params if name in OURS]:
        raise ConfigError(f"{few(taken)}: is not for params; the query is `query`, the time is now")


class PrometheusSource(Source):
    """One query to one server. Prometheus HTTP API, "Instant queries".

    With `require_up` the query has no result while a target of that job is down: its share is missing from a
    sum, which would be a smaller number that looks like any other.
    """

    def __init__(self, base: Question, query: str, require_up: str = "") -> None:
        self.key = ("prometheus", base.whole_url, tuple(sorted(base.all_headers.items())), query, require_up)
        self.name = public_url(base.url)
        self.secrets = base.secrets
        self.job = require_up
        self._base = replace(base, url=base.url.rstrip("/") + PATH)
        self._up = f"up{{job={json.dumps(require_up, ensure_ascii=False)}}}"
        # On a line of its own: the query may end with a comment.
        self._query = f"({query}\n) and on() (min({self._up}) == 1)" if require_up else query
        self._client = Client(DEADLINE_S, MAX_BYTES, self.secrets)
        self._warned: set[str] = set()

    def fetch(self) -> Mapping[str, Any] | Absent:
        """Returns `data` of the answer, or Absent if the query has no result. Raises MetricError, also while
        a target is down."""
        data = self._ask(self._query)
        if data["resultType"] != "vector" or data["result"]:
            return data
        # Only now is the reason asked for: each beat has one question.
        if self.job:
            self._check_up()
        return Absent(f"{self.name}: the query has no result")

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._client.deadline_s = seconds

    def close(self) -> None:
        self._client.close()

    def _check_up(self) -> None:
        """Raises MetricError if targets of the job are down, or there is none."""
        targets = self._ask(self._up)["result"]
        down = [_target(one) for one in targets if _value(one) != "1"]
        if not targets:
            raise MetricError(one_line(f"{self.name}: the job {self.job} of requireUp has no targets"))
        if down:
            text = f"{self.name}: {len(down)} of {len(targets)} targets of {self.job} are down: {few(down)}"
            raise MetricError(one_line(text))

    def _ask(self, query: str) -> Mapping[str, Any]:
        # Without its own deadline the server works on after we have given up.
        params = {**self._base.params, "query": query, "timeout": f"{self._client.deadline_s:g}"}
        question = replace(self._base, params=params)
        try:
            answer = json.loads(self._client.fetch(question.whole_url, question.all_headers))
            data: Mapping[str, Any] = answer["data"]
            if not isinstance(data["resultType"], str) or not isinstance(data["result"], list):
                raise TypeError
        except FetchError as error:
            raise MetricError(str(error)) from None
        except (ValueError, LookupError, TypeError, RecursionError):
            raise MetricError(f"{self.name}: not an answer of Prometheus' API") from None
        self._log_warnings(answer.get("warnings"))
        return data

    def _log_warnings(self, warnings: object) -> None:
        """Logs each warning once: of parts that could not be asked, say."""
        for warning in warnings if isinstance(warnings, list) else []:
            text = one_line(str(warning))[:MAX_OF_WARNING]
            # Bounded, because a warning may have a time or an address in it.
            if text not in self._warned and len(self._warned) < 100:
                self._warned.add(text)
                log.warning("%s warns: %s", self.name, text)


class PrometheusMetric(Metric):
    """The value of the only series of a query's result, or its scalar (items), rounded up. Several series are
    an error, as is a value that is no number. Raises ConfigError."""

    type_name, summary = "Prometheus", "the result of a query to Prometheus"
    fields = (
        replace(URL, check=check_url, hint="http://prometheus:9090"),
        Field("query", "Query", required=True, wide=True, hint="with one series as its result: sum(waiting)"),
        Field(
            "requireUp",
            "Job that must be up",
            hint="while a target of that job is down, there is no number",
        ),
        replace(PARAMS, check=check_params),
        HEADERS,
    )
    may_be_missing = True
    missing = HELD

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> PrometheusMetric:
        question = Question(values["url"], values["headers"], values["params"])
        return cls(question, values["query"], values["requireUp"])

    def __init__(self, question: Question | str, query: str, require_up: str = "") -> None:
        question = Question(question) if isinstance(question, str) else question
        check_url(question.url)
        check_params(question.params)
        check_question(question)
        if not query.strip():
            raise ConfigError("query: is empty")
        self.source = PrometheusSource(question, query, require_up)
        self._what = f"{public_url(question.url)} {one_line(query.strip())}"

    def read(self, answer: Mapping[str, Any] | Absent) -> int:
        if isinstance(answer, Absent):
            return self.absent(answer.reason)
        kind, result = answer["resultType"], answer["result"]
        # The time in the answer is that of the query; that of the scrape is not told.
        self.pace_s, self.stamp = PROMETHEUS_S, stamp_of({"data": answer})
        if kind not in ("vector", "scalar"):
            hint = ": without the [...] at its end it is a number" if kind == "matrix" else ""
            raise MetricError(one_line(f"{self._what}: the result is a {kind}{hint}"))
        # The order of series is not promised, so the first one is no choice.
        try:
            check_series({"data": answer})
        except LookupError as error:
            raise MetricError(one_line(f"{self._what}: {error.args[0]}")) from None
        return items(_value(result[0]) if kind == "vector" else result[-1], self._what, self.at_least)


def _value(series: Any) -> object:
    """Returns the value of a series of a vector; None if it is no number, but a histogram."""
    value = series.get("value") if isinstance(series, Mapping) else None
    return value[1] if isinstance(value, list) and len(value) == 2 else None


def _target(series: Any) -> str:
    metric = series.get("metric") if isinstance(series, Mapping) else None
    return str(metric.get("instance", "?")) if isinstance(metric, Mapping) else "?"


TYPE = PrometheusMetric
