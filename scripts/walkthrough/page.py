"""What a page tells its reader to do, in order: the text, and the blocks of code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEADING = re.compile(r"#+(?= )")
FENCE = re.compile(r"^( *)```(\S*)$")


@dataclass(frozen=True)
class Text:
    """A heading, or a paragraph, list or table as one line."""

    words: str


@dataclass(frozen=True)
class Code:
    """A block of code."""

    language: str
    lines: tuple[str, ...]

    def commands(self) -> list[str]:
        """Those of a shell; a line that goes on in the next is one with it."""
        joined = re.sub(r"\\\n\s*", "", "\n".join(self.lines))
        return [line for line in joined.splitlines() if line.strip()]


def read(page: Path, heading: str) -> list[Text | Code]:
    """The parts of a section, down to the next heading. Raises ValueError if there are none."""
    found: list[Text | Code] = []
    inside = False
    for part in _parts(page.read_text("utf-8").splitlines()):
        if isinstance(part, Text) and HEADING.match(part.words):
            inside = part == Text(heading)
        elif inside:
            found.append(part)
    if not found:
        raise ValueError(f"{page.name} has nothing below {heading!r}")
    return found


def _parts(lines: list[str]) -> Iterator[Text | Code]:
    words: list[str] = []
    rest = iter([*lines, ""])
    for line in rest:
        fence = FENCE.match(line)
        heading = HEADING.match(line)
        if words and (fence or heading or not line.strip()):
            yield Text(" ".join(words))
            words = []
        if fence:
            indent = len(fence[1])
            inner = iter(lambda: next(rest), fence[1] + "```")
            yield Code(fence[2], tuple(line[indent:] for line in inner))
        elif heading:
            yield Text(line)
        elif line.strip():
            words.append(line.strip())
