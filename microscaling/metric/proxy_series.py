"""The load of a proxy in its own Prometheus text, added up over the series that fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from microscaling.clients.http.client import public_url
from microscaling.errors import MetricError
from microscaling.metric.base import Measurement, Metric, Source
from microscaling.metric.exporter import ACCEPT, ExporterSource
from microscaling.metric.http import Question, check_question
from microscaling.metric.missing import HELD, Absent
from microscaling.metric.number import total
from microscaling.metric.rate import PER_SECOND, Rate
from microscaling.utils.text import one_line


class ProxySeriesMetric(Metric):
    """The requests that are open in a proxy, or those of a second. A subclass names the series. Raises
    ConfigError."""

    in_flight = ""
    """The series with the open requests."""
    requests = ""
    """The counter of requests."""
    may_be_missing = True
    missing = HELD
    source: Source

    def __init__(
        self,
        url: str,
        labels: Mapping[str, Sequence[str]],
        measure: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        question = Question(url, headers or {}, accept=ACCEPT)
        check_question(question)
        self.labels = labels
        """The labels of the series that count, each with the values that fit."""
        self._rate = Rate() if measure == PER_SECOND else None
        self._series = self.requests if self._rate is not None else self.in_flight
        self._what = f"{public_url(url)} {self._series}"
        self.source = ExporterSource(question, self._series)

    def read(self, answer: Any) -> int | Measurement:
        samples = answer[self._series]
        if isinstance(samples, Absent):
            return self._none(samples.reason)
        # By method, and by status: the load is that of all of them.
        found = [value for labels, value in samples if self._fits(labels)]
        if not found:
            named = ", ".join(
                " or ".join(f'{name}="{value}"' for value in values) for name, values in self.labels.items()
            )
            return self._none(one_line(f"{self._what}: no series has {named}"))
        number = total(found, self._what)
        return Measurement(0, number) if self._rate is None else self._rate.of(number, self._what)

    def _fits(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(name) in values for name, values in self.labels.items())

    def _none(self, reason: str) -> int | Measurement:
        # Such a series comes with the first request, and so does that of a proxy that shows none at all.
        if self._rate is not None:
            if self.missing == HELD:
                raise MetricError(reason)
            return self._rate.of(0, self._what)
        return self.absent(reason)
