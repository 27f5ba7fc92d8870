"""Files of NAME=value, as Compose's `env_file` and `.env` have them."""

from __future__ import annotations

import re
from collections.abc import Iterator

NAME = r"(?:export\s+)?(?P<name>[^\s=#'\"]+)"
LINE = re.compile(
    NAME + r"""(?:\s*=\s*(?:'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<plain>(?!['"]).*?))"""
    r"""(?P<equals>))?(?:(?:^|\s+)\#.*)?\s*"""
)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "b": "\b", "v": "\v", "a": "\a"}


def parse(data: bytes) -> Iterator[tuple[str, str | None]]:
    """Yields name and value of each line; None for a name without =. Raises ValueError with the line, which
    never quotes the content, as that may be a secret."""
    for number, line in enumerate(data.decode("utf-8-sig").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None or "\0" in line:
            raise ValueError(f"line {number}: expected NAME=value, with quotes at both ends or at none")
        yield match["name"], _value(match)


def _value(match: re.Match[str]) -> str | None:
    if match["equals"] is None:
        return None
    if match["double"] is not None:
        return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), match["double"])
    return match["plain"] if match["single"] is None else match["single"]
