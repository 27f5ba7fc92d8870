"""The metric of a whole nginx, from its page of the module stub_status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from microscaling.errors import MetricError
from microscaling.metric.base import Measurement, Metric, whole_number
from microscaling.metric.http import HEADERS, URL, HTTPSource, Question, check_question
from microscaling.metric.rate import MEASURE, PER_SECOND, Rate
from microscaling.plugins import Field
from microscaling.settings import Settings

PAGE = re.compile(
    rb"Active connections: ([0-9]{1,19}) *\n"
    rb"server accepts handled requests\n"
    rb" ([0-9]{1,19}) ([0-9]{1,19}) ([0-9]{1,19}) *\n"
    rb"Reading: ([0-9]{1,19}) Writing: ([0-9]{1,19}) Waiting: ([0-9]{1,19}) *\n"
)


class NginxSource(HTTPSource):
    """One page of stub_status."""

    def parsed(self, body: bytes) -> tuple[int, int]:
        """Returns the requests that are open, and those since the start of nginx. Raises MetricError."""
        found = PAGE.fullmatch(body)
        if found is None:
            raise MetricError(f"{self.name}: not a page of stub_status")
        # Waiting ones are connections that are kept open, without a request.
        _, _, _, requests, reading, writing, _ = map(int, found.groups())
        # The one that is being answered is this question.
        return max(0, reading + writing - 1), requests


class NginxStatusMetric(Metric):
    """The requests that are open in nginx, or those of a second: of the whole server, as the page knows no
    upstreams. Raises ConfigError."""

    type_name, summary = "NginxStatus", "the requests of an nginx"
    fields: tuple[Field, ...] = (URL, MEASURE, HEADERS)

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> NginxStatusMetric:
        return cls(values["url"], values["measure"], values["headers"])

    def __init__(self, url: str, measure: str = "", headers: Mapping[str, str] | None = None) -> None:
        question = Question(url, headers or {}, accept="text/plain")
        check_question(question)
        self._rate = Rate() if measure == PER_SECOND else None
        self.source = NginxSource(question)

    def read(self, answer: tuple[int, int]) -> int | Measurement:
        name = self.source.name if self.source is not None else ""
        if self._rate is not None:
            return self._rate.of(whole_number(answer[1], f"{name} requests"), name)
        return Measurement(0, whole_number(answer[0], f"{name} open requests"))


TYPE = NginxStatusMetric
