"""JSON as the Go agent reads it: strictly, and with the last value of a repeated key."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from microscaling.errors import ConfigError
from microscaling.utils.text import one_line

MAX_INT = 20
"""Most characters of a number that is read as an integer."""


class Object(dict[str, Any]):
    """A JSON object that remembers its repeated keys."""

    repeated: tuple[str, ...] = ()


def parse(data: bytes) -> Any:
    """Parses JSON in UTF-8. Raises ConfigError with the place of the first mistake."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"not JSON: byte {error.start + 1} is not UTF-8") from None
    if not text.strip():
        raise ConfigError("not JSON: it is empty")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_whole, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"not JSON: {where}: {_reason(text, error)}") from None
    except RecursionError:
        raise ConfigError("not JSON that can be read: nested too deeply") from None


def _reason(text: str, error: json.JSONDecodeError) -> str:
    # Until Python 3.13 the library's error is that a value, or a name in quotes, is missing there.
    before, after = text[: error.pos].rstrip(), text[error.pos :].lstrip(" \t\r\n,")
    if after[:1] in ("]", "}") and (before.endswith(",") or text[error.pos : error.pos + 1] == ","):
        return f"a comma before {after[0]}: remove it"
    return one_line(error.msg)


def _object(pairs: list[tuple[str, Any]]) -> Object:
    made = Object()
    repeated = []
    for key, value in pairs:
        if key in made:
            repeated.append(key)
            if value is None:  # null changes nothing, as in Go
                continue
        made[key] = value
    made.repeated = tuple(repeated)
    return made


def _whole(digits: str) -> int | float:
    # A longer number is out of every range anyway, and int() takes quadratic time.
    return int(digits) if len(digits) <= MAX_INT else float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ConfigError(f"not JSON: there is no number {name}")
