"""Typed access to parsed data, with notes of all problems and their places."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import Any

from microscaling.secrets.masking import mask_unknown
from microscaling.utils.strict_json import Object
from microscaling.utils.text import alternatives, clean, nearest, quoted, short

INT64 = range(-(2**63), 2**63)
DECIMAL = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")


MAX_NOTES = 100
"""Most problems, and most warnings; after fixing those, a person sees the others."""


@dataclass
class Notes:
    """Errors (problems) and probable mistakes (warnings) of a configuration, by place."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    strict: bool = False
    """For YAML, which a person writes: the values of a fixed set match in upper or lower case, and an unknown
    one, or an unknown key, is a problem."""
    # JSON is read as the Go agent reads it: to the letter, with warnings only.
    ports: int = 0
    """The number of ports read so far, of all tasks."""
    elsewhere: bool = False
    """The tasks are for an agent elsewhere: files and variables of this process are not theirs."""

    @property
    def full(self) -> bool:
        """True if no more problems, or warnings, are noted."""
        return max(len(self.problems), len(self.warnings)) > MAX_NOTES

    def problem(self, place: str, what: str) -> None:
        """Notes an error: the configuration will be refused."""
        _note(self.problems, place, what)

    def warn(self, place: str, what: str) -> None:
        """Notes a probable mistake."""
        _note(self.warnings, place, what)

    def misspelt(self, place: str) -> None:
        """Forgets that a key is missing, as it is there, and misspelt."""
        self.problems = [note for note in self.problems if not note.startswith(f"{place}: is missing")]

    def missing(self, place: str, there: object, what: str) -> None:
        """Notes a key that is 0 or missing. Missing in YAML it is an error: the Go agent, which lets it pass,
        reads JSON."""
        if self.strict and there is None:
            self.problem(place, f"is missing: without it {what}")
        else:
            self.warn(place, f"is 0 or missing: {what}")


def _note(notes: list[str], place: str, what: str) -> None:
    """Adds a note, unless it is there already or there are too many."""
    # Some keys are read twice, and their problem must be noted only once.
    note = f"{place}: {what}" if place else what
    if len(notes) < MAX_NOTES:
        if note not in notes:
            notes.append(note)
    elif len(notes) == MAX_NOTES:
        notes.append("there is more of this kind, which is not shown")


def shown(value: object) -> str:
    """Returns a value as an error shows it: short, on one line, never a whole list."""
    if isinstance(value, str):
        # Such as a URL behind the wrong key: its password has no place in a log.
        return quoted(mask_unknown(value))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "an object"
    return f"a {type(value).__name__}"


class Section:
    """One object. Keys match in upper or lower case, null counts as absent, and every read returns a value
    of the right type: the default, and a note, if the value is invalid. `also` maps other spellings to
    keys."""

    def __init__(
        self,
        data: Mapping[Any, Any],
        place: str,
        notes: Notes,
        also: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.place = place
        self.notes = notes
        self._data: dict[str, Any] = {}
        self._spelled: dict[str, str] = {}
        self._taken: dict[str, str] = {}
        self._also: dict[str, str] = {}
        """By key, the other spelling that was used."""
        repeated = list(getattr(data, "repeated", ()))
        for spelled, value in data.items():
            key = str(spelled).casefold()
            if key in also:
                key = self._known_as(str(spelled), also[key], value, data)
            if key in self._data:
                repeated.append(str(spelled))
                if value is None:
                    continue  # null changes nothing, as in Go
            self._data[key], self._spelled[key] = value, str(spelled)
        for spelled in repeated:
            if notes.strict:
                notes.problem(self.at(spelled), "is there more than once: remove one")
            else:
                notes.warn(self.at(spelled), "is there more than once; the last one counts")

    def at(self, key: str) -> str:
        """Returns the place of a key, as errors name it."""
        key = self._also.get(key.casefold(), key)
        return f"{self.place}.{short(key)}" if self.place else short(key)

    def _known_as(self, spelled: str, key: str, value: Any, data: Mapping[Any, Any]) -> str:
        """Returns the key that a spelling stands for. Notes a problem if that is given too."""
        # Null counts as absent, here too.
        given = [str(name) for name, other in data.items() if other is not None]
        twin = next((name for name in given if name.casefold() == key.casefold()), None)
        if twin is not None and value is not None:
            self.notes.problem(self.at(spelled), f"{twin} is given too, which means the same: leave one out")
        elif twin is None:
            self._also[key.casefold()] = spelled
        return key.casefold()

    def take(self, key: str) -> Any:
        """Returns the raw value; None if it is absent. The key counts as known from now on."""
        self._taken[key.casefold()] = key
        return self._data.get(key.casefold())

    def wrong(self, key: str, expected: str, value: object) -> None:
        """Notes an invalid value of a key."""
        self.notes.problem(self.at(key), f"expected {expected}, got {shown(value)}")

    def none_of(self, key: str, names: Iterable[str], value: str) -> None:
        """Notes a value that is none of the names, with the nearest one."""
        names = list(names)
        if value:
            other = nearest(value, names)
            hint = f"; did you mean {other}?" if other else ""
            self.notes.problem(self.at(key), f"expected {alternatives(names)}, got {shown(value)}{hint}")
        else:
            self.notes.problem(self.at(key), f"is missing: expected {alternatives(names)}")

    def text(self, key: str) -> str:
        """Returns a string; "" if absent."""
        value = self.take(key)
        if value is None or isinstance(value, str):
            return clean(value or "")
        self.wrong(key, "text", value)
        return ""

    def whole(self, key: str, least: float | None = None, most: float | None = None) -> int:
        """Returns a whole number of 64 bits, which must be written as one; 0 if absent."""
        value = self.take(key)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int):  # a bool is an int for Python
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
        """Returns a number from `least` to `most`, written as number or text; the default if absent."""
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, str) and DECIMAL.fullmatch(value):  # templates put numbers in quotes
            value = float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most:
            return float(value)
        self.wrong(
            key, f"{unit} from {least:g} to {most:g}" if most < inf else f"{unit}, {least:g} or more", value
        )
        return default

    def flag(self, key: str, default: bool) -> bool:
        """Returns true or false; the default if absent."""
        value = self.take(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.wrong(key, "true or false", value)
        return default

    def change(self, key: str, change: Callable[[Any], Any]) -> None:
        """Replaces the value of a key, if there is one. The key does not count as known by that."""
        if self._data.get(key.casefold()) is not None:
            self._data[key.casefold()] = change(self._data[key.casefold()])

    def section(self, key: str, also: Mapping[str, str] = MappingProxyType({})) -> Section:
        """Returns an inner object; an empty one if absent. `also` maps other spellings of its keys."""
        value = self.take(key)
        if value is not None and not isinstance(value, Mapping):
            self.wrong(key, "an object", value)
            value = None
        return Section(Object() if value is None else value, self.at(key), self.notes, also)

    def entries(self, key: str) -> Iterator[tuple[str, Any]]:
        """Yields place and value of each entry of a list; nothing if absent."""
        value = self.take(key)
        if value is not None and not isinstance(value, list):
            begin = ", whose entries begin with -" if self.notes.strict else ""
            self.wrong(key, f"a list{begin}", value)
            return
        for i, entry in enumerate(value or ()):
            yield f"{self.at(key)}[{i}]", entry

    def no_others(self, *known: str) -> None:
        """Notes a problem for each key that no call has read; `known` are the keys that there are."""
        for key in self.left():
            self.notes.problem(self.at(key), f"is not known: there are {', '.join(known)}")

    def items(self) -> list[tuple[str, Any]]:
        """Returns every key, as it is spelled, and its raw value. All count as known from now on."""
        self._taken |= self._spelled
        return [(self._spelled[key], value) for key, value in self._data.items()]

    def known(self) -> list[str]:
        """Returns the keys that calls have read, as the documentation spells them."""
        return list(self._taken.values())

    def left(self) -> list[str]:
        """Returns the unknown keys, those that no call has read, as they are spelled; extensions, which begin
        with x-, are ignored, as in Compose."""
        return [
            self._spelled[key] for key in self._data if key not in self._taken and not key.startswith("x-")
        ]
