"""A configuration as YAML, for people to read and for MSS_CONFIG=FILE."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
MAX_KEY = 1000
NOT_A_KEY = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


def as_yaml(value: dict[str, Any]) -> str:
    """Returns the configuration as YAML, with values in JSON."""
    # JSON is YAML too, and leaves no doubt about the type of a value.
    return "".join(f"{line}\n" for line in _lines(value)) or "{}\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _entry(f"{_key(key)}:", inner)
    else:
        for inner in value:
            first, *rest = list(_lines(inner)) if _is_block(inner) else [_scalar(inner)]
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)


def _entry(head: str, inner: Any) -> Iterator[str]:
    if len(head) > MAX_KEY:  # YAML requires the mark `?` before a key of more than 1,024 characters
        yield f"? {head[:-1]}"
        head = ":"
    if _is_block(inner):
        yield head
        yield from (f"  {line}" for line in _lines(inner))
    else:
        yield f"{head} {_scalar(inner)}"


def _is_block(value: Any) -> bool:
    return isinstance(value, (dict, list)) and bool(value)


def _key(key: str) -> str:
    return key if PLAIN_KEY.fullmatch(key) and key.lower() not in NOT_A_KEY else _scalar(key)


def _scalar(value: Any) -> str:
    """Returns a value as JSON, with all characters escaped that YAML does not allow."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\U{number:08x}" if number > 0xFFFF else f"\\u{number:04x}"
