"""A word of Compose as a key of `config`, with its place in the engine's request; readers of its forms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from microscaling.api.schema.key import Key
from microscaling.api.schema.section import INT64, Section, shown
from microscaling.utils.text import clean, short

Reader = Callable[[Section, str], Any]
"""Returns the value of a key in the form of the engine's API; None, with a note, if it is invalid."""
MIN_CPUS, MAX_CPUS = 0.01, 4096.0
WHOLE = re.compile(r"-?[0-9]{1,18}")
# The forms that Docker and Compose read (go-units, RAMInBytes): all units are powers of 1,024.
MEMORY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})\s*([bB]|[kmgtpKMGTP](?:[iI]?[bB])?)?")
UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
# The units of Go's time.ParseDuration.
SPAN = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)"
DURATION = re.compile(rf"(?:{SPAN})+")
NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


@dataclass(frozen=True)
class Word(Key):
    """One word of the Compose specification that becomes one field of the request for a container."""

    to: str = ""
    """The place in the body of POST /containers/create (Docker Engine API v1.41)."""
    read: Reader = lambda config, key: None


def flag(config: Section, key: str) -> bool | None:
    """Reads true or false, also as text, as variables have it."""
    value = config.take(key)
    # Not "yes" or "1": what they mean differs between versions of YAML, and of Compose.
    if value in ("true", "false"):
        return bool(value == "true")
    if value is None or isinstance(value, bool):
        return value
    config.wrong(key, "true or false", value)
    return None


def whole(least: int, most: int = 2**63 - 1) -> Reader:
    """Returns a reader of whole numbers, also as text."""

    def read(config: Section, key: str) -> int | None:
        value = config.take(key)
        number = number_in(value)
        if value is not None and (number is None or not least <= number <= most):
            config.wrong(key, f"a whole number, {least} or more" if most >= 2**31 else
                         f"a whole number from {least} to {most}", value)  # fmt: skip
            return None
        return number

    return read


def number_in(value: Any) -> int | None:
    """Returns a whole number that is written as one, or as text; None for other values."""
    if isinstance(value, str) and WHOLE.fullmatch(value):  # as variables and templates have it
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def memory(config: Section, key: str) -> int | None:
    """Reads a number of bytes: a number, or text such as "64m"."""
    value = config.take(key)
    if value is None:
        return None
    is_text = isinstance(value, (str, int)) and not isinstance(value, bool)
    match = MEMORY.fullmatch(str(value)) if is_text else None
    if match is None:
        config.wrong(key, 'bytes, or text such as "64m" or "1gb"', value)
        return None
    size = int(float(match[1]) * UNITS[(match[2] or "b")[0].lower()])
    if size not in INT64:  # the engine's own limit
        config.wrong(key, "a number of bytes of at most 64 bits", value)
        return None
    return size


def processors(config: Section, key: str) -> float:
    """Reads a number of processors; 0: no limit."""
    found = config.number(key, 0.0, MAX_CPUS, "a number of processors")
    if 0 < found < MIN_CPUS:  # the kernel's least share; engines accept less, and no container starts
        config.wrong(key, f"{MIN_CPUS:g} processors or more, or 0 for no limit", config.take(key))
    return found


def nanoseconds(value: Any) -> int | None:
    """Returns a duration such as "1m30s"; None for other values."""
    if not isinstance(value, str) or not DURATION.fullmatch(value):
        return None
    return round(sum(float(number) * NANOSECONDS[unit] for number, unit in re.findall(SPAN, value)))


def texts(pattern: str, expected: str, one: bool = False) -> Reader:
    """Returns a reader of a list of texts, all of which match; with `one`, a single text is a list too."""

    def read(config: Section, key: str) -> list[str] | None:
        value = config.take(key)
        entries = [(config.at(key), value)] if one and isinstance(value, (str, int)) else config.entries(key)
        found = [_matching(entry, place, pattern, expected, config) for place, entry in entries]
        good = [entry for entry in found if entry is not None]
        return good if len(good) == len(found) else None

    return read


def _matching(entry: Any, place: str, pattern: str, expected: str, config: Section) -> str | None:
    whole = isinstance(entry, int) and not isinstance(entry, bool)
    if (isinstance(entry, str) or whole) and re.fullmatch(pattern, str(entry)):
        return clean(str(entry))
    config.notes.problem(place, f"expected {expected}, got {shown(entry)}")
    return None


def matching(pattern: str, expected: str) -> Reader:
    """Returns a reader of one text, or whole number, that matches."""

    def read(config: Section, key: str) -> str | None:
        value = config.take(key)
        return None if value is None else _matching(value, config.at(key), pattern, expected, config)

    return read


def pairs(config: Section, key: str) -> Iterator[tuple[str, str, str | None]]:
    """Yields place, name and value of the entries of a list of "NAME=value", or of a map; None: no value."""
    # No error quotes a value, as it may be a secret.
    value = config.take(key)
    if isinstance(value, Mapping):
        yield from _mapped(config, key, value)
        return
    for place, entry in config.entries(key):
        if not isinstance(entry, str):
            config.notes.problem(place, f'expected text such as "NAME=value", got {shown(entry)}')
            continue
        name, equals, rest = clean(entry).partition("=")
        if name:
            yield place, name, rest if equals else None
        else:
            config.notes.problem(place, "there is no name before the =")


def _mapped(config: Section, key: str, values: Mapping[Any, Any]) -> Iterator[tuple[str, str, str | None]]:
    for name, value in values.items():
        place = under(config, key, name)
        if not isinstance(name, str) or not name or "=" in name:
            config.notes.problem(place, f"expected a name without =, got {shown(name)}")
        # A bool is refused, as `true` without quotes would become "True".
        elif isinstance(value, bool) or not isinstance(value, (str, int, float, type(None))):
            config.notes.problem(place, f"expected text or a number, got {shown(value)}: put it in quotes")
        else:
            yield place, clean(name), value if value is None else clean(str(value))


def under(config: Section, key: str, name: object) -> str:
    """Returns the place of a name in the map of a key."""
    return f"{config.at(key)}.{short(str(name))}"
