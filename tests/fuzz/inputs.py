"""Inputs that come close to what is expected: valid ones with a few things wrong, and plain bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from hypothesis import note
from hypothesis import strategies as st

T = TypeVar("T")

Where = tuple[Any, int]
"""A list, and an index in it."""


class Raw(str):
    """Stands in JSON as it is."""

    __slots__ = ()


class Obj(list[list[Any]]):
    """An object as its pairs, since keys may be there twice."""


VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 7, 300, 0.5, 1.0, -0.0, 1e300),
    *(2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**19, 10**21, 10**400),
    *("", " ", "a", "0", "1", "-1", "7", "1e3", "1_0", "true", "null", "NaN", "inf", "٣", "9" * 25,
    "9" * 5000),
    *("a\nb", "a\r\nb", "a\x00b", "\x1b[31m", "\u202eb", "\u2028", "é", "\U0001f600", "x" * 5000, "a/b",
    "/", ".."),
    *("ſ", "İ", "%s", "{}", "${HOME}", "${", "http://[", "http://a:99999/", "//", "\ufeff", "=", ":", "a=b",
    "a:b:c"),
    *([], Obj(), [[]], [None], [1, 2], [Obj()], Obj([["", None]]), Obj([["a", 1], ["a", 2], ["A", 3]])),
    *(Raw("1e400"), Raw("-1e400"), Raw("9" * 5000), Raw("-" + "9" * 4000), Raw("9" * 4000),
    Raw("0." + "9" * 5000)),
    *(Raw("NaN"), Raw("Infinity"), Raw("-Infinity"), Raw("1E2"), Raw("-0"), Raw("01"), Raw("0x10"),
    Raw("1_0")),
    *(Raw('"\\ud800"'), Raw('"a\\udfff"'), Raw('"\\ud83d\\ude00"'), Raw('"\\u0000"'), Raw('"\\u000a"'),
    Raw('"a\nb"')),
    *(Raw("["), Raw("tru"), Raw("undefined"), Raw("'a'"), Raw(""), Raw("1 2"), Raw("/**/1"), Raw('"\\x"')),
    *(Raw("[" * n + "]" * n) for n in (50, 900, 960, 1000, 3000, 20_000)),
    *(Raw('{"a":' * n + "1" + "}" * n) for n in (50, 900, 960, 1000, 3000)),
]  # fmt: skip
PIECES = [
    b"", b" ", b"\n", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\x80", b'"', b"\\",
    b"{", b"}", b"[",
    b"]", b",", b":", b"null", b"NaN", b"-", b"9" * 30, b"&a ", b"*a", b"<<: ",
    b"!!python/object:os.system ", b"---\n", b"\t",
    b"%", b"|\n", b"!!int ", b"!!float ", b"? ", b"# ",
]  # fmt: skip
TEXTS = [value for value in VALUES if isinstance(value, str) and not isinstance(value, Raw)] + [
    "\ud800",
    "\udc80x",
]

NUMBERS = [
    "0",
    "7",
    "-1",
    "1_0",
    " 5",
    "5 ",
    "+5",
    "٣",
    "9" * 400,
    "1e3",
    "1e400",
    "1e-400",
    ".5",
    "5.",
    "0x1",
    "inf",
    "nan",
    "1,5",
]
CHANGES = ("replace", "replace", "drop", "repeat", "add", "nest", "enclose", "case", "rename")
CUTS = ("insert", "overwrite", "remove", "end")
LETTERS = "a0-_./: \t\n\0\x7f\x85é\u2028\ud800\U0001f600=,;@%$[]{}\"'\\"
ENTROPY = 48


class Dice:
    """Makes inputs of a few random bytes: of many small choices hypothesis makes too much work.

    Zeros choose what comes first, so that is what hypothesis tries to come to.
    """

    def __init__(self, entropy: bytes) -> None:
        self.entropy = entropy
        self._at = 0

    def __repr__(self) -> str:
        return f"Dice({self.entropy.hex()})"

    def number(self, sides: int) -> int:
        """From 0 to one less than that; 0 once there is no entropy left."""
        self._at += 2
        return int.from_bytes(self.entropy[self._at - 2 : self._at], "big") % sides

    def pick(self, options: Sequence[T]) -> T:
        return options[self.number(len(options))]

    def text(self, *usual: str) -> str:
        """One of the usual, or something strange, or something made of them."""
        kind = self.number(6)
        if kind < 3 and usual:
            return _noted(self.pick(usual))
        if kind < 4:
            return _noted(self.pick(TEXTS))
        made = "".join(self.pick(LETTERS) for _ in range(self.number(8)))
        return _noted(self.pick(usual or ("",)) + made if kind == 4 else made)

    def digits(self) -> str:
        """Something like a number."""
        return _noted(self.pick(NUMBERS) if self.number(2) else self.text("0", "1", "-1", "0.5"))

    def value(self, *documents: Any) -> Any:
        """A document with a few things wrong, as Python has it once it has been read."""
        return _noted(_read(self._changed(documents)))

    def json(self, *documents: Any) -> bytes:
        """The same as JSON, or nearly; seldom any bytes."""
        if self.number(12) == 11:
            return _noted(self.entropy[self._at :][: self.number(40)])
        return self.damaged(written(self._changed(documents)).encode("utf-8", "surrogatepass"))

    def damaged(self, data: bytes, pieces: Sequence[bytes] = PIECES, most: int = 3, seldom: int = 3) -> bytes:
        """The bytes; one time in `seldom` with pieces of them replaced, inserted or lost."""
        for _ in range(1 + self.number(most) if self.number(seldom) == seldom - 1 else 0):
            data = _cut(data, self.number(len(data) + 1), self.pick(CUTS), self.pick(pieces))
        return _noted(data)

    def _changed(self, documents: Sequence[Any]) -> Any:
        made = [(self.number(2**16), self.pick(CHANGES), self.pick(VALUES)) for _ in range(self.number(5))]
        return changed(self.pick(documents), made)


dice = st.binary(min_size=ENTROPY, max_size=ENTROPY).map(Dice)


def _noted(made: T) -> T:
    """Shown if it fails."""
    note(f"{made!r:.3000}")
    return made


def taken_apart(value: Any) -> Any:
    """A copy with objects as pairs."""
    if isinstance(value, dict):
        return Obj([key, taken_apart(inner)] for key, inner in value.items())
    if isinstance(value, Obj):
        return Obj([key, taken_apart(inner)] for key, inner in value)
    return [taken_apart(inner) for inner in value] if isinstance(value, list) else value


def written(value: Any) -> str:
    """It as JSON, or what is nearly JSON."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, Obj):
        return "{" + ", ".join(f"{written(key)}: {written(inner)}" for key, inner in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(inner) for inner in value) + "]"
    # In text as it stands, so that what is not allowed there gets there.
    return json.dumps(value, ensure_ascii=isinstance(value, str) and not value.isprintable())


def _places(value: Any) -> Iterator[Where]:
    if isinstance(value, Obj):
        for pair in value:
            yield pair, 1
            yield from _places(pair[1])
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield value, i
            yield from _places(inner)


def _lists(value: Any) -> Iterator[list[Any]]:
    """Every object and list in it that has something in it."""
    if isinstance(value, list) and value:
        yield value
        for inner in (pair[1] for pair in value) if isinstance(value, Obj) else value:
            yield from _lists(inner)


def changed(document: Any, changes: list[tuple[int, str, Any]]) -> Any:
    """The document (as objects or as pairs) with these changes made to a copy of it."""
    top = [taken_apart(document)]
    for place, kind, value in changes:
        if kind in ("drop", "repeat", "add", "case", "rename"):
            if lists := list(_lists(top[0])):
                _change_entry(lists[place % len(lists)], place, kind, taken_apart(value))
            continue
        places: list[Where] = [(top, 0), *_places(top[0])]
        holder, i = places[place % len(places)]
        if kind == "nest":
            holder[i] = [holder[i]]
        elif kind == "enclose":
            holder[i] = Obj([["a", holder[i]]])
        else:
            holder[i] = taken_apart(value)
    return top[0]


def _change_entry(entries: list[Any], place: int, kind: str, value: Any) -> None:
    i = (place // 7) % len(entries)
    if kind == "drop":
        del entries[i]
    elif kind == "repeat":
        again = entries[i]
        entries.append([again[0], value] if isinstance(entries, Obj) else taken_apart(again))
    elif kind == "add":
        entries.insert(
            i, [value if isinstance(value, str) else "x", 1] if isinstance(entries, Obj) else value
        )
    elif isinstance(entries, Obj) and isinstance(entries[i][0], str):
        key = entries[i][0]
        entries[i] = [key.swapcase() if kind == "case" else key + "x", entries[i][1]]


def _cut(data: bytes, at: int, kind: str, piece: bytes) -> bytes:
    if kind == "insert":
        return data[:at] + piece + data[at:]
    if kind == "end":
        return data[:at]
    return data[:at] + (piece if kind == "overwrite" else b"") + data[at + max(1, len(piece)) :]


def _read(value: Any) -> Any:
    if isinstance(value, Obj):
        return {key if isinstance(key, str) else str(key): _read(inner) for key, inner in value}
    if isinstance(value, Raw):
        try:
            return json.loads(value, parse_int=lambda digits: int(digits) if len(digits) < 4300 else None)
        except (ValueError, RecursionError):
            return str(value)
    return [_read(inner) for inner in value] if isinstance(value, list) else value
