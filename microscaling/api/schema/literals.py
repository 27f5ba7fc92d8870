"""Warns of ${NAME} in places where it is not replaced by a variable but taken literally."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from microscaling.api.schema.container import IMAGE, KEYS
from microscaling.api.schema.section import Notes
from microscaling.metric.base import METRICS
from microscaling.secrets.references import REFERENCE
from microscaling.utils.text import short

ANY = re.compile(r"\$\{(\w*)[^}]*\}")
TOP = re.compile(r"config\.([^.\[]+)")
"""The place of a key of `config`."""
OF_CONTAINERS = {
    f"config.{name}".casefold() for key in (IMAGE, *KEYS) if key.refers for name in key.spellings
}
COMMANDS = ("config.command", "config.entrypoint", "config.healthcheck")
MAY_HAVE_DOLLARS = {"config.env", "config.environment", "config.labels"}
TWO = re.compile(r"\$\$\{?[A-Za-z_]")
DOUBLE = re.compile(r"\$\$(?!\{)")
BARE = re.compile(r"(?<!\$)\$[A-Za-z_]\w*")
SHELL = re.compile(r"(^|[\s/])(ba|da|z|k)?sh\s+-\w*c\b")
"""A command with a shell, which replaces ${NAME} itself, by the variables of the container."""


def warn_of_literals(app: Mapping[Any, Any], filled_in: Iterable[str], place: str, notes: Notes) -> None:
    """Searches a parsed description of a task. `filled_in`: the places, such as config.url, in which the
    variables are filled in."""
    filled = tuple(key.casefold() for key in filled_in)
    for path, text in _texts(app, ""):
        known = path.casefold()
        key = TOP.match(known)
        where = f"{place}.{short(path)}"
        of_containers = key is not None and key[0] in OF_CONTAINERS
        inside = of_containers or any(known == at or known.startswith(f"{at}.") for at in filled)
        if key is not None and (hint := _other_form(key[0], text, notes.strict)):
            notes.warn(where, hint)
        if key is not None and key[0] in COMMANDS and _in_shell(app, key[1], text):
            continue
        for found in ANY.finditer(text):
            whole = REFERENCE.fullmatch(found[0])
            # Never all of it: ${NAME:-default} may have a password for a default.
            shown = found[0] if whole else f"${{{found[1]}...}}"
            if inside and text[: found.start()].endswith("$"):
                continue  # $${ stands for a literal ${
            if not inside:
                notes.warn(where, f"{short(shown)} is taken literally: {_elsewhere()}")
            elif not whole:
                notes.warn(where, f"{short(shown)} is taken literally: only the form ${{NAME}} is filled in")


def _other_form(key: str, text: str, strict: bool) -> str:
    """Returns a warning about a $ that Compose would not take literally; empty if there is none."""
    if key in COMMANDS:
        return "$$ is taken literally, and not as one $ as in Compose: write one" if TWO.search(text) else ""
    if key in OF_CONTAINERS and not strict and DOUBLE.search(text):
        return "$$ is taken literally, and not as one $ as in Compose and in YAML"
    # Not of variables and labels: a password may well have a $ in it.
    found = BARE.search(text) if key in OF_CONTAINERS - MAY_HAVE_DOLLARS else None
    return f"{short(found[0])} is taken literally: only the form ${{NAME}} is filled in" if found else ""


def _in_shell(app: Mapping[Any, Any], key: str, text: str) -> bool:
    """Whether a text of a command is for a shell: by itself, or as one of the words in a list."""
    configs = (config for name, config in app.items() if str(name).casefold() == "config")
    words = [value for config in configs for name, value in config.items() if str(name).casefold() == key]
    if key == "healthcheck":  # its plain text and its CMD-SHELL are for one
        tests = (of.get("test") for of in words if isinstance(of, Mapping))
        return not any(isinstance(test, list) and "CMD" in test[:1] for test in tests)
    return any(
        SHELL.search(" ".join(map(str, value)) if isinstance(value, list) else text) for value in words
    )


@functools.cache
def _elsewhere() -> str:
    """Names the keys in which variables are filled in."""
    keys = sorted({field.key for metric in METRICS.all() for field in metric.fields if field.fills_in})
    of_sources = f"the {', '.join(keys[:-1])} and {keys[-1]} of a source"
    return f"variables are filled in only in {of_sources}, and in the options of containers, not in commands"


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
