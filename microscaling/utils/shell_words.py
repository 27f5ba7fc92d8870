"""Splits a command into words as a shell would, and finds parts that only a shell can carry out."""

from __future__ import annotations

import re

ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
EXPANSION = re.compile(r"\$(\w+|\{[^}]*\}?|\(.*|[?$@*#!-])|`.*")
HOME = re.compile(r"~[\w.+-]*(/|$)")
OPERATOR = re.compile(r"\d*[<>]+[&|]?\d*|&&|\|[|&]?|;+|&>*")
PATTERN = re.compile(r"[*?]")
COMMAND_OPTION = re.compile(r"-[A-Za-z]*c")
"""`sh -c`, `bash -lc`, `su -c`: the next words are for a shell, which expands them itself."""
BUILTINS = re.compile(
    r"[!.{]|alias|bg|break|case|cd|continue|eval|exec|exit|export|fg|for|function|if|local|readonly|read|return|set"
    r"|shift|source|trap|type|ulimit|umask|unalias|unset|until|wait|while"
)
BLANKS, QUOTES = " \t\r\n", "'\""
ESCAPED_IN_DOUBLE_QUOTES = '$`"\\'


class OpenQuote(ValueError):
    """An unclosed quote, or a backslash at the end."""


class Word(str):
    """One word, with the quote around each of its characters."""

    quotes: list[str]
    """For each character: its quote, "" for none, a backslash for an escaped one."""

    @classmethod
    def of(cls, characters: list[tuple[str, str]]) -> Word:
        """Makes a word of pairs of a character and its quote."""
        word = cls("".join(character for character, _ in characters))
        word.quotes = [quote for _, quote in characters]
        return word

    def outside(self, *quotes: str) -> str:
        """Returns the characters without quotes, or in one of these quotes; NUL replaces each other one."""
        return "".join(
            c if quote in ("", *quotes) else "\0" for c, quote in zip(self, self.quotes, strict=True)
        )


def split(command: str) -> list[Word]:
    """Returns the words of a command, by the rules of POSIX for quotes; raises OpenQuote."""
    words: list[Word] = []
    word: list[tuple[str, str]] | None = None
    quote = ""
    rest = iter(command)
    for character in rest:
        if character == quote:
            quote = ""
        elif character == "\\" and quote != "'":
            following = next(rest, None)
            if following is None:
                raise OpenQuote("it ends with a backslash")
            if following != "\n":  # a backslash before a line break joins the lines
                word = word or []
                if quote and following not in ESCAPED_IN_DOUBLE_QUOTES:
                    word.append((character, quote))
                word.append((following, "\\"))
        elif not quote and character in QUOTES:
            quote, word = character, word or []
        elif not quote and character in BLANKS:
            words += [Word.of(word)] if word is not None else []
            word = None
        else:
            word = word or []
            word.append((character, quote))
    if quote:
        raise OpenQuote(f"No closing quotation ({quote})")
    return words + ([Word.of(word)] if word is not None else [])


def shell_feature(words: list[Word]) -> str:
    """Returns the first part that only a shell can carry out, in words; empty if there is none."""
    if words and ASSIGNMENT.match(words[0].outside()):
        return f"{words[0].partition('=')[0]}=... in front of the program sets a variable"
    for_a_shell = False
    for word in words:
        found = _feature_of(word, for_a_shell)
        if found:
            return found
        for_a_shell = for_a_shell or bool(COMMAND_OPTION.fullmatch(word)) or word.rpartition("/")[2] == "ssh"
    if words and BUILTINS.fullmatch(words[0]):
        return f"{words[0]!r} is a word of the shell"
    return ""


def _feature_of(word: Word, for_a_shell: bool) -> str:
    bare = word.outside()
    if bare[:1] == "#":
        return "# begins a comment"
    if bare[:1] == "(":
        return "( begins a subshell"
    if HOME.match(bare):
        return f"{word} stands for a home folder"
    # A shell expands double quotes, too. If the command starts a shell, that one expands them.
    expanded = bare if for_a_shell else word.outside('"')
    if found := EXPANSION.search(expanded):
        return f"{found[0]} stands for a value or the output of a command".replace("\0", "")
    url = "://" in word
    for operator in OPERATOR.finditer(bare):
        # URLs contain these characters; inside a word they were not meant for a shell.
        inside = operator.start() > 0 and operator.end() < len(bare)
        if not (inside and (operator[0] == "&" or (url and operator[0] == ";"))):
            return f"{operator[0]} joins, ends or redirects commands"
    if not url and (found := PATTERN.search(bare)):
        return f"{word} is a pattern for file names"
    return ""
