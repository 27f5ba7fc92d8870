"""The README and the pages of docs, and the blocks of code in them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("sources/*.md"))]
FENCE = re.compile(r"^( *)```(\S*)[ \t]*\n(.*?)^\1```[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}-{self.line}"


def blocks_of(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page, of these languages or of all."""
    text = page.read_text("utf-8")
    found = [
        Block(page, text.count("\n", 0, match.start()) + 1, match[2], textwrap.dedent(match[3]))
        for match in FENCE.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]


def blocks(*languages: str) -> list[Block]:
    """The blocks of all pages."""
    return [block for page in PAGES for block in blocks_of(page, *languages)]


def section(page: Path, heading: str) -> str:
    """The text below a heading, up to the next one of its level."""
    level = heading.partition(" ")[0]
    match = re.search(
        rf"^{re.escape(heading)}$\n(.*?)(?=^{level} |\Z)", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert match, f"{page.name} has no {heading}"
    return match[1]
