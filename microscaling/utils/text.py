"""Text that came from elsewhere, made fit for one line of a log or of an error."""

from __future__ import annotations

from collections.abc import Iterable

MAX_SHOWN = 120
"""Characters of a foreign value that an error shows."""


def one_line(text: str) -> str:
    """The text with everything that is not printable escaped, so that a name with a line feed, a
    colour or a change of direction in it cannot pass for something else."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def short(text: str) -> str:
    """One line of it, and cut if it is long."""
    return one_line(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "...")


def quoted(text: str) -> str:
    """The text in double quotes, on one line, and cut if it is long."""
    if len(text) > MAX_SHOWN:
        text = text[:MAX_SHOWN] + "..."
    return '"' + one_line(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def clean(text: str) -> str:
    """The text with halves of characters (lone surrogates, which JSON can escape) replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def nearest(name: str, others: Iterable[str]) -> str:
    """The most similar of the other names, whatever their case; empty if none is similar."""
    import difflib  # only after a mistake

    folded = {other.casefold(): other for other in others}
    found = difflib.get_close_matches(name.casefold(), sorted(folded), 1, 0.7)
    return folded[found[0]] if found else ""
