"""Reads `healthcheck`, in the forms of the Compose specification."""

from __future__ import annotations

from typing import Any

from microscaling.api.schema.key import exactly
from microscaling.api.schema.section import Section, shown
from microscaling.api.schema.word import DURATION, Word, flag, nanoseconds, whole
from microscaling.utils.text import clean

TIMES = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod"}
"""The engine's names of the durations; it takes nanoseconds."""
LEAST_NS = 10**6
"""The engine refuses less than 1 ms."""


def _read(config: Section, key: str) -> dict[str, Any] | None:
    if config.take(key) is None:
        return None
    given = config.section(key)
    check: dict[str, Any] = {to: _time(given, name) for name, to in TIMES.items()}
    check["Test"], check["Retries"] = _test(given), whole(0, 2**31 - 1)(given, "retries")
    # The image may have a check of its own, which an empty one would leave in place.
    if flag(given, "disable"):
        check = {"Test": ["NONE"]}
    if given.take("start_interval") is not None:
        config.notes.problem(given.at("start_interval"), "needs an engine of version 25: leave it out")
    given.no_others("test", *TIMES, "retries", "disable")
    return {name: value for name, value in check.items() if value is not None}


def _time(given: Section, name: str) -> int | None:
    value = given.take(name)
    if value is None:
        return None
    duration = nanoseconds(value)
    if duration is None or duration < LEAST_NS:
        given.wrong(name, 'a duration of 1 ms or more, such as "30s" or "1m30s"', value)
    return duration


def _test(given: Section) -> list[str] | None:
    value = given.take("test")
    if isinstance(value, str):  # as in Compose, and in a Dockerfile: the image's shell runs it
        return ["CMD-SHELL", clean(value)] if value else None
    words = [word for _, word in given.entries("test")]
    if not words:
        return None
    if not all(isinstance(word, str) for word in words) or words[0] not in ("NONE", "CMD", "CMD-SHELL"):
        kinds = '"CMD", then program and arguments, "CMD-SHELL", then a command, or "NONE"'
        given.notes.problem(
            given.at("test"), f"expected {kinds}; got a list that begins with {shown(words[0])}"
        )
    return [clean(str(word)) for word in words]


_TIME = {"type": "string", "pattern": exactly(DURATION.pattern)}
HEALTHCHECK = Word(
    "healthcheck",
    "Health check",
    kind="shape",
    meaning="`{test: [CMD, pgrep, worker], interval: 30s, timeout: 5s, retries: 3, start_period: 10s}`, or "
    "`{disable: true}`",
    shape={
        "type": "object",
        "properties": {
            "test": {"type": ["string", "array"], "items": {"type": "string"}},
            "retries": {"type": ["integer", "string"], "minimum": 0},
            "disable": {"type": ["boolean", "string"], "enum": [True, False, "true", "false"]},
        }
        | dict.fromkeys(TIMES, _TIME),
        "additionalProperties": False,
    },
    to="Healthcheck",
    read=_read,
)
