"""Warns of ${NAME} in places where it is not replaced by a variable but taken literally."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from microscaling.api.schema.section import Notes
from microscaling.metric.base import METRICS
from microscaling.secrets.references import REFERENCE
from microscaling.utils.text import short

ANY = re.compile(r"\$\{(\w*)[^}]*\}")
SHELL = re.compile(r"(^|[\s/])(ba|da|z|k)?sh\s+-\w*c\b")
"""A command with a shell, which replaces ${NAME} itself, by the variables of the container."""


def warn_of_literals(app: Mapping[Any, Any], filled_in: Iterable[str], place: str, notes: Notes) -> None:
    """Searches a parsed description of a task. `filled_in`: the places, such as config.url, in which the
    variables are filled in."""
    filled = tuple(key.casefold() for key in filled_in)
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
                notes.warn(where, f"{short(shown)} is taken literally: {_elsewhere()}")
            elif not whole:
                notes.warn(where, f"{short(shown)} is taken literally: only the form ${{NAME}} is filled in")


@functools.cache
def _elsewhere() -> str:
    """Names the keys in which variables are filled in."""
    keys = {m.type_name: [f"the {f.key}" for f in m.fields if f.fills_in] for m in METRICS.all()}
    said = ", and ".join(f"{' and '.join(of)} of {name}" for name, of in keys.items() if of)
    return f"variables are filled in in {said}, only"


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yields every text in parsed data, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if not str(key).startswith("x-"):  # extensions are ignored
                yield from _texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{i}]")
