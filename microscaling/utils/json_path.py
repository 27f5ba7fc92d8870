"""Paths into parsed JSON, in the notation of JavaScript, data.result[0].value[1], or with an entry of a
list selected by one of its fields: streams[name=JOBS].messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STEP = re.compile(
    r"""\.?([^.\[\]"'\s]+) | \[([0-9]{1,9})\] | \["([^"]+)"\] | \['([^']+)'\]
    | \[([^.=\[\]"'\s]+(?:\.[^.=\[\]"'\s]+)*)=(?:"([^"]*)"|'([^']*)'|([^\[\]"']*))\]""",
    re.VERBOSE,
)
FORM = (
    "names with dots between, [0] for the first entry of a list, [name=JOBS] for the one with that name, "
    '["any name"] for a name with a dot in it'
)


@dataclass(frozen=True)
class Chosen:
    """Selects the one entry of a list with this text (or number, as text) under that field."""

    field: tuple[str, ...]
    value: str

    def __str__(self) -> str:
        return f"entry with {'.'.join(self.field)}={self.value}"[:60]

    def of(self, entries: Any, place: str) -> Any:
        """Returns the selected one of `entries`. Raises LookupError unless exactly one fits."""
        found = [entry for entry in entries if self._fits(entry)] if _is_list(entries) else []
        if len(found) > 1:
            raise LookupError(f"{place} has {len(found)} entries with {str(self)[11:]}; expected one")
        if not found:
            raise LookupError(f"{place} has no {self}: it is {_kind(entries)}")
        return found[0]

    def _fits(self, entry: Any) -> bool:
        for name in self.field:
            if not _has(entry, name):
                return False
            entry = entry[name]
        # bool is a subclass of int in Python, but `true` is no number in JSON.
        if isinstance(entry, bool) or not isinstance(entry, (str, int)):
            return False
        return str(entry) == self.value


Step = str | int | Chosen


class JSONPath:
    """A parsed path. A `$` in front is allowed, and the empty path is the whole document.

    Raises ValueError if the text has another form.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.steps = _parsed(text)

    def find(self, document: Any) -> Any:
        """Returns the value at this path. Raises LookupError, naming the first step that is missing."""
        value, place = document, "the answer"
        for step in self.steps:
            value, place = _taken(value, step, place), _shown(step)
        return value

    def guesses(self, document: Any) -> str:
        """Describes the first step that selects one of several objects by its position; "" if there is
        none. Raises LookupError as `find`."""
        value, place = document, "the answer"
        for step in self.steps:
            # Many servers do not keep the order of such a list, so the position is a guess.
            if isinstance(step, int) and _is_list(value) and len(value) > 1 and isinstance(value[0], Mapping):
                return f"{place} is a list of {len(value)}, of which {_shown(step)} is taken"
            value, place = _taken(value, step, place), _shown(step)
        return ""


def _taken(value: Any, step: Step, place: str) -> Any:
    if isinstance(step, Chosen):
        return step.of(value, place)
    if not _has(value, step):
        raise LookupError(f"{place} has no {_shown(step)}: it is {_kind(value)}")
    return value[step]


def _parsed(text: str) -> list[Step]:
    rest = text.strip().removeprefix("$")
    steps: list[Step] = []
    while rest:
        found = STEP.match(rest)
        if not found or (not steps and text.lstrip().startswith(".")):
            raise ValueError(f"expected {FORM}")
        name, number, *quoted, field, _, _, _ = found.groups()
        if name is not None and steps and not rest.startswith("."):
            raise ValueError(f"expected {FORM}")
        if field is not None:
            value = next(group for group in found.groups()[5:] if group is not None)
            steps.append(Chosen(tuple(field.split(".")), value))
        else:
            steps.append(int(number) if number is not None else name or quoted[0] or quoted[1])
        rest = rest[found.end() :]
    return steps


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(value, Mapping) and step in value
    return _is_list(value) and step < len(value)


def _shown(step: Step) -> str:
    if isinstance(step, Chosen):
        return str(step)
    return f"entry {step}" if isinstance(step, int) else repr(step)[:60]


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object without it"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return "null" if value is None else f"{value!r:.40}"
