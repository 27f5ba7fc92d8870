"""The metric of a command's output."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from microscaling.errors import ConfigError, MetricError
from microscaling.metric import counts
from microscaling.metric.base import Measurement, Metric, Source
from microscaling.metric.number import items
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.utils import shell_words
from microscaling.utils.command_output import TooLong, output_of
from microscaling.utils.strict_json import parse
from microscaling.utils.text import cause_of, one_line, quoted, short

DEADLINE_S = 2.0
MAX_BYTES = 2**16
MAX_OF_ERRORS = 200


def words_of(command: str) -> list[str]:
    """Returns the words of a command. Raises ConfigError for one that cannot be run without a shell."""
    try:
        words = shell_words.split(command)
    except shell_words.OpenQuote as error:
        raise ConfigError(f"cannot be read: {error}") from None
    if not words or not words[0]:
        raise ConfigError("names no program")
    if found := shell_words.shell_feature(words):
        raise ConfigError(
            f"needs a shell ({found}), and is run without one: use sh -c '...', or single quotes for "
            "literal text"
        )
    return [str(word) for word in words]


class ExecSource(Source):
    """One command, which is run at each question, as the agent's user and in its environment."""

    def __init__(self, words: list[str]) -> None:
        self.key = ("exec", *words)
        self.name = f"command {short(words[0])}"
        self._words = words
        self._deadline_s = DEADLINE_S

    def check(self) -> None:
        # Only it shows the end of a process without giving its number free.
        if not hasattr(os, "waitid"):
            raise ConfigError("metricType Exec needs Linux, or Python 3.13")
        if shutil.which(self._words[0]) is None:
            raise ConfigError(f"exec: there is no program {quoted(self._words[0])} here")

    def fetch(self) -> Any:
        """Returns the number in the output as text, or its object. Raises MetricError."""
        try:
            code, output, errors = output_of(self._words, self._deadline_s, MAX_BYTES)
        except TimeoutError:
            raise MetricError(f"{self.name}: has not ended within {self._deadline_s:g} s") from None
        except TooLong:
            raise MetricError(f"{self.name}: writes more than {MAX_BYTES} bytes") from None
        except (OSError, ValueError) as error:
            raise MetricError(f"{self.name}: {cause_of(error)}") from None
        # A command that fails may have written a part of a number, or a 0 of a pipeline.
        if code:
            raise MetricError(one_line(f"{self.name}: {_end(code)}{_last_line(errors)}"))
        text = output.strip()
        if not text:
            raise MetricError(one_line(f"{self.name}: writes nothing{_last_line(errors)}"))
        # Text is for the one rule for numbers; only counts by state need JSON.
        if not text.startswith(b"{"):
            return text
        try:
            return parse(text)
        except ConfigError as error:
            raise MetricError(f"{self.name}: the output is {error}") from None

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds


class ExecMetric(Metric):
    """The number that a command writes, or its counts in JSON (items). Raises ConfigError."""

    type_name, summary = "Exec", "a number that a command writes"
    fields = (
        Field(
            "exec",
            "Command that counts",
            required=True,
            wide=True,
            check=words_of,
            hint='its output is a number, or {"waiting": 12, "running": 3}; run without a shell',
        ),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> ExecMetric:
        return cls(values["exec"])

    def __init__(self, command: str) -> None:
        self.source = ExecSource(words_of(command))

    def read(self, answer: Any) -> int | Measurement:
        name = self.source.name if self.source else ""
        if isinstance(answer, Mapping):
            return counts.measurement(answer, name, self.at_least)
        return items(answer, f"{name}: the output", self.at_least)


def _end(code: int) -> str:
    name = f"signal {-code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
    return f"exit code {code}" if code > 0 else f"ended by {name}"


def _last_line(errors: bytes) -> str:
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1].strip()[:MAX_OF_ERRORS]}" if lines else ""


TYPE = ExecMetric
