"""Files of NAME=value, as Compose's `env_file` and `.env` have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

NAME = r"(?:export\s+)?(?P<name>[^\s=#'\"]+)"
LINE = re.compile(
    NAME + r"""(?:\s*=\s*(?:'(?P<single>[^']*)'|"(?P<double>(?:\\"|[^"])*)"|(?P<plain>(?!['"]).*?))"""
    r"""(?P<equals>))?(?:(?:^|\s+)\#.*)?\s*"""
)
ESCAPE = re.compile(r"""\\([\\'"abfnrtv])""")
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "b": "\b", "v": "\v", "a": "\a"}


class Line(NamedTuple):
    """One variable of a file."""

    number: int
    name: str
    value: str | None
    """None for a name without =."""
    literal: bool
    """It is in single quotes, so no ${NAME} in it is filled in."""


def parse(data: bytes) -> Iterator[Line]:
    """Yields each line with a variable. Raises ValueError with the line, which never quotes the content, as
    that may be a secret."""
    # Not splitlines, which also ends a line at U+0085 and other characters that a value may have.
    for number, line in enumerate(re.split(r"\r?\n", data.decode("utf-8-sig")), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None or "\0" in line:
            raise ValueError(f"line {number}: expected NAME=value, with quotes at both ends or at none")
        yield Line(number, match["name"], _value(match), match["single"] is not None)


def _value(match: re.Match[str]) -> str | None:
    if match["equals"] is None:
        return None
    if match["double"] is not None:
        # As in Compose: any other escape keeps its backslash, as in \d of a pattern.
        return ESCAPE.sub(lambda found: ESCAPES.get(found[1], found[1]), match["double"])
    return match["plain"] if match["single"] is None else match["single"]
