"""The metric of a function of Gearman, by the job server's administrative protocol ("status")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from microscaling.clients.tcp.lines import Answer
from microscaling.errors import ConfigError
from microscaling.metric.base import Measurement, Metric
from microscaling.metric.line_source import LineSource, check_server, count_of
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.utils.text import short

SCHEME, PORT = "gearman", 4730
LINE = re.compile(rb"([^\t]+)\t([0-9]+)\t([0-9]+)\t[0-9]+")
"""FUNCTION, TOTAL, RUNNING, AVAILABLE_WORKERS."""


def check_url(url: str) -> None:
    """Raises ConfigError for an invalid URL."""
    check_server(url, SCHEME, PORT)


def check_function(name: str) -> None:
    """Raises ConfigError for a name that the answers of the job server cannot contain."""
    if not name.isprintable():
        raise ConfigError("expected the name of a function, on one line")


class GearmanSource(LineSource):
    """One job server, which answers for all functions at once."""

    scheme, port, noun = SCHEME, PORT, "function"

    def request(self, queues: Iterable[str]) -> bytes:
        return b"status\n"

    def found(self, answer: Answer, queues: Iterable[str]) -> Mapping[str, tuple[bytes, bytes]]:
        functions: dict[str, tuple[bytes, bytes]] = {}
        while (line := answer.line()) != b".":
            match = LINE.fullmatch(line)
            if not match:
                raise self.unexpected(line)
            functions[match[1].decode("utf-8", "replace")] = match[2], match[3]
        return functions

    def others(self, found: Mapping[str, Any]) -> Iterable[str]:
        return found


class GearmanMetric(Metric):
    """The jobs of a function (items), of all priorities.

    The job server knows a function since its first job or worker, so one that it does not know has no jobs.
    Raises ConfigError.
    """

    type_name, summary = "Gearman", "the jobs of a function of Gearman"
    fields = (
        Field(
            "url",
            "URL of the job server",
            kind="url",
            required=True,
            wide=True,
            check=check_url,
            hint=f"{SCHEME}://gearmand:{PORT}",
        ),
        Field("function", "Function", required=True, check=check_function),
    )
    may_be_missing = True

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> GearmanMetric:
        return cls(values["url"], values["function"])

    def __init__(self, url: str, function: str) -> None:
        check_url(url)
        check_function(function)
        self.function = function
        self.source = GearmanSource(url, function)

    def read(self, answer: Mapping[str, tuple[bytes, bytes]]) -> int | Measurement:
        if self.function not in answer:
            return self.absent(f"Gearman knows no function {short(self.function)}")
        total, running = (
            count_of(digits, f"jobs of the function {short(self.function)}")
            for digits in answer[self.function]
        )
        # The total has those that run in it.
        return Measurement(max(0, total - running), running)


TYPE = GearmanMetric
