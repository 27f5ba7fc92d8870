"""Reads a call of a container: a command in it, or an HTTP request to it."""

from __future__ import annotations

from typing import Any

from microscaling.api.schema.section import Section, shown
from microscaling.demand.drain import Call
from microscaling.utils.text import clean

WORDS: dict[str, Any] = {"type": "array", "minItems": 1, "items": {"type": "string"}}
HTTP: dict[str, Any] = {
    "type": "object",
    "properties": {
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "path": {"type": "string", "pattern": "^/"},
    },
    "required": ["port"],
    "additionalProperties": False,
}
SHAPE: dict[str, Any] = {
    "type": "object",
    "properties": {"exec": WORDS, "http": HTTP},
    "oneOf": [{"required": ["exec"]}, {"required": ["http"]}],
    "additionalProperties": False,
}
"""The shape of such a value."""


def read_call(section: Section) -> Call | None:
    """Reads {exec: [...]} or {http: {port, path}}; None, with a note, for anything else."""
    has_exec, has_http = (section.take(key) is not None for key in ("exec", "http"))
    section.no_others("exec", "http")
    if has_exec == has_http:
        both = "has exec and http: leave one out" if has_exec else "expected exec or http in it"
        section.notes.problem(section.place, both)
        return None
    if has_exec:
        words = read_exec(section)
        return Call(exec=words) if words else None
    return _request(section.section("http"))


def read_exec(section: Section) -> tuple[str, ...]:
    """Reads `exec`, the words of a command; none, with a note, if it is invalid."""
    value = section.take("exec")
    # Text would need a shell, which an image may not have.
    if not isinstance(value, list) or not value or not all(isinstance(word, str) for word in value):
        section.wrong("exec", 'a list of words such as ["sh", "-c", "..."]', value)
        return ()
    if not value[0]:
        section.notes.problem(section.at("exec"), "names no program: its first word is empty")
        return ()
    return tuple(map(clean, value))


def _request(http: Section) -> Call | None:
    value, path = http.take("port"), http.text("path") or "/"
    http.no_others("port", "path")
    if value is None:
        http.notes.problem(http.at("port"), "is missing: the port on which the container answers")
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        http.wrong("port", "a port from 1 to 65535", value)
        return None
    if not path.startswith("/") or any(c <= " " for c in path):
        http.notes.problem(
            http.at("path"), f"expected a path that begins with / and has no space, got {shown(path)}"
        )
        return None
    return Call(port=value, path=path)
