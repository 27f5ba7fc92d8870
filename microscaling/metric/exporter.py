"""The metric of a number in Prometheus' text format, read from an exporter itself, without a Prometheus."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from microscaling.clients.http.client import public_url
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Metric, Source
from microscaling.metric.http import HEADERS, PARAMS, URL, HTTPSource, Question, check_question
from microscaling.metric.missing import HELD, Absent, alike
from microscaling.metric.number import items, total
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.utils.text import one_line, quoted, short

MAX_BYTES = 16 * 2**20
"""Exporters list everything that they know at each request, often thousands of series."""
MAX_NAMED = 3
NEEDS_LIBRARY = "metricType Exporter needs prometheus-client: pip install '.[exporter]' in the clone"
ACCEPT = "text/plain;version=0.0.4"
"""The format that every exporter has; OpenMetrics would be another one."""
SERIES = re.compile(r"(sum\()?\s*([A-Za-z_:][A-Za-z0-9_:]*)\s*(?:\{(.*)\})?\s*(\))?", re.DOTALL)
LABEL = re.compile(
    r"""\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*(?:,|$)"""
)
ESCAPED = {"\\n": "\n", '\\"': '"', "\\'": "'", "\\\\": "\\"}
NAME = re.compile(rb"[ \t]*([A-Za-z_:][A-Za-z0-9_:]*)")
ENDS = (b"\n", b"\n# EOF")
"""The end of a whole answer, in this format and in OpenMetrics."""
FORM = 'a series such as waiting{queue="mail"}, or sum(waiting) for all series of that name'

Sample = tuple[Mapping[str, str], float]


class ExporterSource(HTTPSource):
    """One URL of an exporter; several metrics may read their series from one answer."""

    max_bytes = MAX_BYTES

    def __init__(self, question: Question, series: str) -> None:
        super().__init__(question)
        # Without the series: one answer has all of them.
        self.key = ("exporter", self.key)
        self._names = {series}

    def also(self, other: Source) -> None:
        if isinstance(other, ExporterSource):
            self._names = self._names | other._names  # a new set, as `fetch` may be under way

    def check(self) -> None:
        try:
            import prometheus_client.parser  # noqa: F401
        except ImportError:
            raise ConfigError(NEEDS_LIBRARY) from None

    def parsed(self, body: bytes) -> dict[str, list[Sample] | Absent]:
        """Returns the samples of the wanted names; for a name without any, Absent. Raises MetricError."""
        # Without a Content-Length only this tells 12 from the beginning of 1234.
        if body and not body.endswith(ENDS):
            raise MetricError(
                f"{self.name}: the answer is cut off, or of another format: no line feed at its end"
            )
        lines: dict[str, list[bytes]] = {name: [] for name in self._names}
        others: set[str] = set()
        for line in body.splitlines():
            found = NAME.match(line)
            name = found[1].decode() if found else ""
            # Only these are parsed: there may be thousands of lines, at each beat.
            if name in lines:
                lines[name].append(line)
            elif name:
                others.add(name)
        return {name: self._samples(name, of_name, others) for name, of_name in lines.items()}

    def _samples(self, name: str, lines: list[bytes], others: set[str]) -> list[Sample] | Absent:
        try:
            from prometheus_client.parser import text_string_to_metric_families
        except ImportError:
            raise MetricError(NEEDS_LIBRARY) from None
        if not lines:
            like = "".join(f"; is {other} meant?" for other in alike(name, others)[:1])
            return Absent(f"{self.name}: there is no series {name}{like}")
        try:
            text = b"\n".join(lines).decode() + "\n"
            families = list(text_string_to_metric_families(text))
        except Exception as error:  # the parser raises several kinds for text of another format
            raise MetricError(one_line(f"{self.name}: {name} cannot be read: {error}")[:200]) from None
        return [(sample.labels, sample.value) for family in families for sample in family.samples]


class ExporterMetric(Metric):
    """The value of one series of an exporter, or the sum of several (items), rounded up. Raises ConfigError.

    A series that is not there is an error unless `missing: empty`: exporters leave out those of queues that
    they do not know, but a misspelt name looks the same.
    """

    type_name, summary = "Exporter", "a series in the Prometheus text of an exporter"
    fields = (
        URL,
        Field("series", "Series", required=True, wide=True, hint='waiting{queue="mail"}, or sum(waiting)'),
        PARAMS,
        HEADERS,
    )
    may_be_missing = True
    missing = HELD

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> ExporterMetric:
        question = Question(values["url"], values["headers"], values["params"], accept=ACCEPT)
        return cls(question, values["series"])

    def __init__(self, question: Question | str, series: str) -> None:
        question = Question(question, accept=ACCEPT) if isinstance(question, str) else question
        check_question(question)
        self.sums, self.series, self.labels = parse_series(series)
        self._what = f"{public_url(question.url)} {series.strip()}"
        self.source = ExporterSource(question, self.series)

    def read(self, answer: Any) -> int:
        samples = answer[self.series]
        if isinstance(samples, Absent):
            return self.absent(samples.reason)
        found = [sample for sample in samples if self.labels.items() <= sample[0].items()]
        if not found:
            return self.absent(
                one_line(f"{self._what}: no series has these labels; there is {_shown(samples)}")
            )
        if self.sums:
            return total((value for _, value in found), self._what, self.at_least)
        # The first would be a guess: exporters promise no order.
        if len(found) > 1:
            raise MetricError(
                one_line(f"{self._what}: {len(found)} series where one is expected ({_shown(found)}): add a ")
                + "label, or put sum(...) around it"
            )
        return items(found[0][1], self._what, self.at_least)


def parse_series(text: str) -> tuple[bool, str, dict[str, str]]:
    """Returns whether all matching series are added up, their name, and the labels that they must have.
    Raises ConfigError."""
    found = SERIES.fullmatch(text.strip())
    if not found or bool(found[1]) is not bool(found[4]):
        raise ConfigError(f"series: expected {FORM}, got {quoted(text)}")
    labels, rest = {}, (found[3] or "").strip()
    while rest:
        label = LABEL.match(rest)
        if not label:
            raise ConfigError(f'series: expected labels such as queue="mail", got {quoted(short(rest))}')
        value = label[2] if label[2] is not None else label[3]
        labels[label[1]] = re.sub(r"\\.", lambda escape: ESCAPED.get(escape[0], escape[0]), value)
        rest = rest[label.end() :]
    return bool(found[1]), found[2], labels


def _shown(samples: list[Sample]) -> str:
    """Formats the labels of the first few samples, as an exporter writes them."""
    pairs = (", ".join(f'{name}="{value}"' for name, value in sorted(of.items())) for of, _ in samples)
    named = [f"{{{labels}}}" for labels in pairs]
    more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
    return "; ".join(one[:80] for one in named[:MAX_NAMED]) + more


TYPE = ExporterMetric
