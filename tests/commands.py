"""The shell commands in blocks of code."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
FLAGS = {"--rm", "-d", "--read-only"}
"""Options of `docker run` without a value."""
IMAGE = "microscaling/microscaling"


@dataclass(frozen=True)
class Command:
    """One command: the line it stands on, its variables, and its words."""

    line: str
    environ: dict[str, str]
    words: tuple[str, ...]

    @property
    def arguments(self) -> tuple[str, ...] | None:
        """Those of `microscaling`, on this machine or in its image; None if it is another command."""
        if re.fullmatch(r"(\S*/)?microscaling", self.words[0]):
            return self.words[1:]
        if self.words[1:3] == ("-m", "microscaling"):
            return self.words[3:]
        if self.image and self.image.partition(":")[0] == IMAGE:
            # The image's own command is the program.
            return self.words[self.words.index(self.image) + 1 :][1:]
        return None

    @property
    def image(self) -> str:
        """That of `docker run`; empty for other commands."""
        if self.words[:2] != ("docker", "run"):
            return ""
        words = iter(self.words[2:])
        for word in words:
            if not word.startswith("-"):
                return word
            if word not in FLAGS and "=" not in word:
                next(words)
        return ""


def commands(text: str) -> Iterator[Command]:
    """The commands of a block. Lines that go on in the next are one; what a command is given by another
    one, as $(...), counts as a variable."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in filter(None, map(str.strip, joined.splitlines())):
        lexer = shlex.shlex(re.sub(r"\$\([^)]*\)", "$_", line), posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word in ("&&", "|", ";"):
                yield _command(line, words)
                words = []
            else:
                words.append(word)


def _command(line: str, words: list[str]) -> Command:
    if ">" in words:
        words = words[: words.index(">")]
    environ = {}
    while words and (found := ASSIGNMENT.fullmatch(words[0])):
        environ[found[1]] = found[2]
        words = words[1:]
    assert words, f"no command: {line}"
    if words[:2] == ["docker", "run"]:
        given = [value for option, value in itertools.pairwise(words) if option == "-e"]
        environ |= {name: value for name, _, value in (word.partition("=") for word in given)}
    return Command(line, environ, tuple(words))
