"""A place in parsed JSON, written as JavaScript writes it: data.result[0].value[1]."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

STEP = re.compile(r"""\.?([^.\[\]"'\s]+) | \[([0-9]{1,9})\] | \["([^"]+)"\] | \['([^']+)'\]""", re.VERBOSE)
FORM = 'names with dots between, [0] for the first entry of a list, ["any name"] for a name with a dot in it'


class JSONPath:
    """Raises ValueError if the text is not of that form. A `$` in front, and for the whole document
    nothing at all, is fine."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps = _parsed(text)

    def find(self, document: Any) -> Any:
        """What is at the place. Raises LookupError that says how far it got, if nothing is."""
        value, place = document, "the answer"
        for step in self._steps:
            if not _has(value, step):
                raise LookupError(f"{place} has no {_shown(step)}: it is {_kind(value)}")
            value = value[step]
            place = _shown(step)
        return value


def _parsed(text: str) -> list[str | int]:
    rest = text.strip().removeprefix("$")
    steps: list[str | int] = []
    while rest:
        found = STEP.match(rest)
        if not found or (not steps and text.lstrip().startswith(".")):
            raise ValueError(f"expected {FORM}")
        name, number, *quoted = found.groups()
        if name is not None and steps and not rest.startswith("."):
            raise ValueError(f"expected {FORM}")
        steps.append(int(number) if number is not None else name or quoted[0] or quoted[1])
        rest = rest[found.end() :]
    return steps


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(value, Mapping) and step in value
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and step < len(value)


def _shown(step: str | int) -> str:
    return f"entry {step}" if isinstance(step, int) else repr(step)[:60]


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object without it"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return "null" if value is None else f"{value!r:.40}"
