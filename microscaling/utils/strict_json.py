"""JSON as the Go agent read it: strictly, and with the last of repeated keys counting."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from microscaling.errors import ConfigError
from microscaling.utils.text import one_line

MAX_INT = 20
"""Characters; longer ones are out of range whatever they say, and costly to read."""


class Object(dict[str, Any]):
    """A JSON object that remembers which of its keys were there more than once."""

    repeated: tuple[str, ...] = ()


def parse(data: bytes) -> Any:
    """The value in these bytes. Raises ConfigError that says where they are not JSON."""
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
        raise ConfigError(f"not JSON: {where}: {one_line(error.msg)}") from None
    except RecursionError:
        raise ConfigError("not JSON that can be read: nested too deeply") from None


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
    return int(digits) if len(digits) <= MAX_INT else float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ConfigError(f"not JSON: there is no number {name}")
