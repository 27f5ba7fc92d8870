"""Warns of ${NAME} where no variable is filled in, so that it would arrive as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from microscaling.api.schema.section import Notes
from microscaling.secrets.references import REFERENCE
from microscaling.utils.text import short

ANY = re.compile(r"\$\{(\w*)[^}]*\}")
FILLED_IN = {"HTTP": ("config.url", "config.headers"), "Redis": ("config.url",)}
"""By metricType, the keys in which ${NAME} is a variable."""
ELSEWHERE = "variables are filled in in the url and the headers of HTTP, and the url of Redis, only"
SHELL = re.compile(r"(^|[\s/])(ba|da|z|k)?sh\s+-\w*c\b")
"""It fills in variables itself, those of the container."""


def warn_of_literals(app: Mapping[Any, Any], metric_type: str, place: str, notes: Notes) -> None:
    """Looks through all of a task's description, as it was parsed."""
    filled = FILLED_IN.get(metric_type, ())
    for path, text in _texts(app, ""):
        known = path.casefold()
        where = f"{place}.{short(path)}"
        inside = any(known == key or known.startswith(f"{key}.") for key in filled)
        if known == "config.command" and SHELL.search(text):
            continue
        for found in ANY.finditer(text):
            whole = REFERENCE.fullmatch(found[0])
            # Never all of it: ${NAME:-default} may have a password for a default.
            shown = found[0] if whole else f"${{{found[1]}...}}"
            if not inside:
                notes.warn(where, f"{short(shown)} is taken literally: {ELSEWHERE}")
            elif not whole:
                notes.warn(where, f"{short(shown)} is taken literally: only the form ${{NAME}} is filled in")


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text in it, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if not str(key).startswith("x-"):
                yield from _texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{i}]")
