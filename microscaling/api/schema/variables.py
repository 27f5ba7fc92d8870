"""Replaces ${NAME} in a task's `config` by the agent's environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Section
from microscaling.log import keep_secret
from microscaling.secrets.credentials import secrets_of
from microscaling.secrets.references import LITERAL, REFERENCE, Unset, filled_in, names_in
from microscaling.utils.strict_json import Object

DEEPEST = 20
"""No valid value is nested deeper, and Python's stack has an end."""


def fill_in(config: Section, keys: Iterable[Key]) -> None:
    """Fills in the values of these keys. One that refers to a variable that is not set is noted, and counts
    as absent; so does, without a note, every one with a reference if its agent is elsewhere."""
    for key in keys:
        if not key.refers:
            continue
        try:
            config.change(key.key, _of_another_agent if config.notes.elsewhere else _filled)
        except Unset as error:
            config.notes.problem(config.at(key.key), f"{error}; a literal ${{ is written {LITERAL}")
            config.change(key.key, lambda value: None)


def _filled(value: Any, depth: int = 0) -> Any:
    """Returns the value with every reference in its texts replaced. Raises Unset."""
    if isinstance(value, str):
        return _text(value)
    if depth > DEEPEST:
        return value
    if isinstance(value, list):
        return [_filled(entry, depth + 1) for entry in value]
    if isinstance(value, dict):
        made = Object({key: _filled(entry, depth + 1) for key, entry in value.items()})
        made.repeated = getattr(value, "repeated", ())
        return made
    return value


def _text(text: str) -> str:
    remember_secrets(text)
    return filled_in(text, os.environ)


def remember_secrets(text: str) -> None:
    """Masks the secrets among the variables that a text refers to, from now on, in the log and in reports.
    Raises Unset."""
    # A value may come up in an error that quotes the answer of an engine or a source.
    for name in names_in(text):
        value = filled_in(f"${{{name}}}", os.environ)
        from_file = not os.environ.get(name)
        keep_secret([value] if from_file else secrets_of(name, value))


# The server must not fill in variables of its own: they may be secrets, and the agent has others.
def _of_another_agent(value: Any) -> Any:
    return None if _refers(value) else value


def _refers(value: Any, depth: int = 0) -> bool:
    if isinstance(value, str) or depth > DEEPEST:
        return isinstance(value, str) and re.search(r"(?<!\$)" + REFERENCE.pattern, value) is not None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_refers(entry, depth + 1) for entry in inner)
