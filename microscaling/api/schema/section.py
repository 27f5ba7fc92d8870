"""Reads parsed data piece by piece, and notes everything that is wrong with it, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from microscaling.utils.strict_json import Object
from microscaling.utils.text import clean, quoted, short

INT64 = range(-(2**63), 2**63)
DECIMAL = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")


MAX_NOTES = 100
"""Of a kind: who has mended those sees the others."""


@dataclass
class Notes:
    """What is wrong (problems), and what a person may not have meant (warnings), by place."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    strict: bool = False
    """As a person writes it, in YAML: the values of a fixed set match in any case, and an unknown one, or an
    unknown key, is a problem. The Go agent's JSON is taken to the letter."""
    ports: int = 0
    """How many have been read, of all tasks."""

    def problem(self, place: str, what: str) -> None:
        _note(self.problems, place, what)

    def warn(self, place: str, what: str) -> None:
        _note(self.warnings, place, what)


def _note(notes: list[str], place: str, what: str) -> None:
    """Once each: what is read twice is not wrong twice."""
    note = f"{place}: {what}" if place else what
    if len(notes) < MAX_NOTES:
        if note not in notes:
            notes.append(note)
    elif len(notes) == MAX_NOTES:
        notes.append("there is more of this kind, which is not shown")


def shown(value: object) -> str:
    """A value as an error shows it: short, on one line, never a whole list."""
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "an object"
    return f"a {type(value).__name__}"


class Section:
    """One object. Keys match in any case, null is as good as absent, and every read gives a value
    of the right type, the default if what is there is wrong (which is noted)."""

    def __init__(self, data: Mapping[Any, Any], place: str, notes: Notes) -> None:
        self.place = place
        self.notes = notes
        self._data: dict[str, Any] = {}
        self._spelled: dict[str, str] = {}
        self._taken: dict[str, str] = {}
        repeated = list(getattr(data, "repeated", ()))
        for spelled, value in data.items():
            key = str(spelled).casefold()
            if key in self._data:
                repeated.append(str(spelled))
                if value is None:
                    continue
            self._data[key], self._spelled[key] = value, str(spelled)
        for spelled in repeated:
            notes.warn(self.at(spelled), "is there more than once; the last one counts")

    def at(self, key: str) -> str:
        """The place of a key, as errors name it."""
        return f"{self.place}.{short(key)}" if self.place else short(key)

    def take(self, key: str) -> Any:
        """Whatever is there; None if nothing is."""
        self._taken[key.casefold()] = key
        return self._data.get(key.casefold())

    def wrong(self, key: str, expected: str, value: object) -> None:
        self.notes.problem(self.at(key), f"expected {expected}, got {shown(value)}")

    def text(self, key: str) -> str:
        """A string; empty if absent."""
        value = self.take(key)
        if value is None or isinstance(value, str):
            return clean(value or "")
        self.wrong(key, "text", value)
        return ""

    def whole(self, key: str, least: float | None = None, most: float | None = None) -> int:
        """A whole number of 64 bits, written as one; 0 if absent."""
        value = self.take(key)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(key, "a whole number", value)
        elif value not in INT64:
            self.wrong(key, "a whole number of at most 64 bits", value)
        elif least is not None and value < least:
            self.wrong(key, f"a whole number, {least:g} or more", value)
        elif most is not None and value > most:
            self.wrong(key, f"a whole number, {most:g} or less", value)
        else:
            return value
        return 0

    def number(self, key: str, default: float, most: float, unit: str, least: float = 0.0) -> float:
        """A number from `least` to `most`, as such or in text; the default if absent."""
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, str) and DECIMAL.fullmatch(value):
            value = float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most:
            return float(value)
        self.wrong(
            key, f"{unit} from {least:g} to {most:g}" if most < inf else f"{unit}, {least:g} or more", value
        )
        return default

    def flag(self, key: str, default: bool) -> bool:
        value = self.take(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.wrong(key, "true or false", value)
        return default

    def section(self, key: str) -> Section:
        """An object inside; an empty one if absent."""
        value = self.take(key)
        if value is not None and not isinstance(value, Mapping):
            self.wrong(key, "an object", value)
            value = None
        return Section(Object() if value is None else value, self.at(key), self.notes)

    def entries(self, key: str) -> Iterator[tuple[str, Any]]:
        """The place and value of each entry of a list; nothing if absent."""
        value = self.take(key)
        if value is not None and not isinstance(value, list):
            self.wrong(key, "a list", value)
            return
        for i, entry in enumerate(value or ()):
            yield f"{self.at(key)}[{i}]", entry

    def items(self) -> list[tuple[str, Any]]:
        """Every key, as it is spelled, and what is there."""
        self._taken |= self._spelled
        return [(self._spelled[key], value) for key, value in self._data.items()]

    def known(self) -> list[str]:
        """The keys that have been asked for, as the documentation spells them."""
        return list(self._taken.values())

    def left(self) -> list[str]:
        """The keys that nothing has asked for, as they are spelled."""
        return [self._spelled[key] for key in self._data if key not in self._taken]
