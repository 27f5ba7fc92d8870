"""Replaces ${NAME} in a task's `config` by the agent's environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Section
from microscaling.log import keep_secret
from microscaling.secrets.credentials import secrets_of
from microscaling.secrets.references import LITERAL, REFERENCE, Unset, filled_in, names_in
from microscaling.utils.strict_json import Object

OTHER_FORM = re.compile(r"(?<!\$)\$\{(?![A-Za-z_][A-Za-z0-9_]*\})")
"""A reference that is not ${NAME}, such as ${NAME:-default}."""
DEEPEST = 20
"""No valid value is nested deeper, and Python's stack has an end."""


def fill_in(config: Section, keys: Iterable[Key]) -> None:
    """Fills in the values of these keys. One that refers to a variable that is not set is noted, and counts
    as absent; so does, without a note, every one with a reference if its agent is elsewhere."""
    strict = config.notes.strict
    change = _of_another_agent if config.notes.elsewhere else lambda value: _filled(value, strict)
    for key in keys:
        if not key.refers:
            continue
        try:
            config.change(key.key, change)
        except Unset as error:
            config.notes.problem(config.at(key.key), f"{error}; a literal ${{ is written {LITERAL}")
            config.change(key.key, lambda value: None)


def _filled(value: Any, strict: bool, depth: int = 0) -> Any:
    """Returns the value with every reference in its texts replaced. Raises Unset."""
    if isinstance(value, str):
        return _as_compose(value) if strict else filled(value, os.environ)
    if depth > DEEPEST:
        return value
    if isinstance(value, list):
        return [_filled(entry, strict, depth + 1) for entry in value]
    if isinstance(value, dict):
        made = Object({key: _filled(entry, strict, depth + 1) for key, entry in value.items()})
        made.repeated = getattr(value, "repeated", ())
        return made
    return value


def _as_compose(text: str) -> str:
    """As `filled`, with $$ for a literal $ everywhere: in JSON, the Go agent passes $$ on as it is."""
    # Of three $ before a brace, the first two are one, and the third begins a reference.
    return "$".join(filled(part, os.environ) for part in text.split("$$"))


def filled(text: str, environ: Mapping[str, str]) -> str:
    """Replaces every ${NAME} by the variable, and $${ by ${. Raises Unset."""
    remember_secrets(text, environ)
    return filled_in(text, environ)


def remember_secrets(text: str, environ: Mapping[str, str] = os.environ) -> None:
    """Masks the secrets among the variables that a text refers to, from now on, in the log and in reports.
    Raises Unset."""
    # A value may come up in an error that quotes the answer of an engine or a source.
    for name in names_in(text):
        value = filled_in(f"${{{name}}}", environ)
        from_file = not environ.get(name)
        keep_secret([value] if from_file else secrets_of(name, value))


# The server must not fill in variables of its own: they may be secrets, and the agent has others.
def _of_another_agent(value: Any) -> Any:
    return None if _refers(value) else value


def _refers(value: Any, depth: int = 0) -> bool:
    if isinstance(value, str) or depth > DEEPEST:
        return isinstance(value, str) and re.search(r"(?<!\$)" + REFERENCE.pattern, value) is not None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_refers(entry, depth + 1) for entry in inner)
