"""A finding of `microscaling check`: one thing that is well, or that is not."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line for a person: the thing, its state, and the way out if it is not well."""

    level: str
    """`ok`, `warning` (the agent runs, and probably not as meant) or `error` (it cannot do its work)."""
    text: str


def ok(text: str) -> Finding:
    """Returns a finding that all is well."""
    return Finding(OK, text)


def warning(text: str) -> Finding:
    """Returns a finding that is probably not meant."""
    return Finding(WARNING, text)


def error(text: str) -> Finding:
    """Returns a finding that has to be mended."""
    return Finding(ERROR, text)
