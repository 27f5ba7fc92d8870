"""Foreign text in a form that is safe in one line of a log or an error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MAX_SHOWN = 120
"""Characters of a foreign value that an error shows."""
MAX_OF_REASON = 200
"""Characters of a foreign error that ours quotes."""
MAX_NAMES = 5
"""Names in one line."""


def one_line(text: str) -> str:
    """Escapes all characters that are not printable."""
    # A name with a line feed, a colour or a change of direction in it could imitate another log line.
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def short(text: str) -> str:
    """The text on one line, cut after MAX_SHOWN characters."""
    return one_line(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "...")


def quoted(text: str) -> str:
    """The text in double quotes, on one line, cut after MAX_SHOWN characters."""
    if len(text) > MAX_SHOWN:
        text = text[:MAX_SHOWN] + "..."
    return '"' + one_line(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def cause_of(error: BaseException, text: str | None = None) -> str:
    """The text of a foreign error on one line, cut after MAX_OF_REASON characters; without one its type."""
    return one_line((str(error) if text is None else text)[:MAX_OF_REASON].strip()) or type(error).__name__


def few(names: Sequence[str]) -> str:
    """Returns the first MAX_NAMES of these names, and the number of the others."""
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def span(seconds: float) -> str:
    """A duration in words: "41 min", "12 s"."""
    if seconds >= 5400:
        return f"{seconds / 3600:.3g} h"
    return f"{round(seconds / 60)} min" if seconds >= 120 else f"{max(0, round(seconds))} s"


def in_bytes(size: int) -> str:
    """Returns a number of bytes in words: 800 kB, 240 MB, 1.5 GB."""
    value, unit = (
        (size / 1e9, "GB") if size >= 1e9 else (size / 1e6, "MB") if size >= 1e6 else (size / 1e3, "kB")
    )
    return f"{value:.3g} {unit}"


def clean(text: str) -> str:
    """Replaces lone surrogates, which JSON can express as an escape and UTF-8 cannot encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def nearest(name: str, others: Iterable[str]) -> str:
    """Returns the most similar of the other names, in upper or lower case; "" if none is similar."""
    import difflib  # only after a mistake

    folded = {other.casefold(): other for other in others}
    found = difflib.get_close_matches(name.casefold(), sorted(folded), 1, 0.7)
    return folded[found[0]] if found else ""


def alternatives(names: Iterable[str]) -> str:
    """The names as an error lists them: "a, b or c"."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
