"""Finds texts with a zero byte in them, which no argument, variable, path or name can have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from microscaling.api.schema.section import Notes
from microscaling.utils.text import short


def note_zero_bytes(data: Any, place: str, notes: Notes) -> None:
    """Notes each of them as a problem. `place`: that of the data."""
    for found in _found(data, place):
        notes.problem(found, "has a zero byte in it, which ends a text for every program: leave it out")


def _found(data: Any, place: str) -> Iterator[str]:
    known: set[int] = set()  # in YAML one object may be in many places
    left: list[tuple[str, Any]] = [(place, data)]  # no recursion, as it may be deep
    while left:
        place, value = left.pop()
        if isinstance(value, str) and "\0" in value:
            yield place
        elif isinstance(value, (Mapping, list)) and id(value) not in known:
            known.add(id(value))
            left += [(here, inner) for here, inner in _inside(place, value)][::-1]


def _inside(place: str, value: Mapping[Any, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        yield from ((f"{place}[{number}]", entry) for number, entry in enumerate(value))
        return
    for key, entry in value.items():
        name = str(key)
        if name[:2].lower() != "x-":
            yield f"{place}.{short(name)}", name if "\0" in name else entry
