"""Paths into parsed JSON, in the notation of JavaScript, data.result[0].value[1], with three additions: an
entry of a list selected by one of its fields, streams[name=JOBS].messages; all entries, queues[*].messages;
and the number of entries, length(jobs), length(jobs[*].tags)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from microscaling.utils.text import short

STEP = re.compile(
    r"""\.?([^.\[\]"'\s]+) | \[\s*(-?[0-9]{1,9})\s*\] | \["([^"]+)"\] | \['([^']+)'\] | \[\s*(\*)\s*\]
    | \[\s*(?!@\.)([^.=\[\]"'\s?()!<>~&|]+(?:\.[^.=\[\]"'\s?()!<>~&|]+)*)
      \s*=\s*(?:"([^"]*)"|'([^']*)'|(?!\s*[=~])((?:(?!&&|\|\|)[^\[\]"'])*))\s*\]""",
    re.VERBOSE,
)
"""One step. A field and its value have nothing in them that makes it a filter of another notation."""
LENGTH = re.compile(r"length\((.*)\)")
PLAIN = re.compile(r"[^.\[\]\"'\s/]+")
"""A name that needs no quotes; it has no slash, because a path with slashes is a mistake."""
CALL = re.compile(r"\*|(?:length|size|sum)\(\)|.*\|length(?:\(@?\))?")
"""A name that is nearly always a word of another notation. Not count(): databases name a field like that."""
OTHER_WORDS = [
    (re.compile(r"\.?([^|]+)\|\s*length(?:\(@?\))?"), "length({})"),
    (re.compile(r"length\s*\(([^)]*)\)*"), "length({})"),
    (re.compile(r"(.+)\.(?:length|size)\(\)"), "{}.length"),
    (re.compile(r"sum\((.+)\)"), "{}"),
    (re.compile(r"(.+)\.sum\(\)"), "{}"),
    (re.compile(r"(.+)"), "{}"),
]
"""Paths in other notations, and the path that means the same; the last is for those with a STAR."""
STAR = re.compile(r"(?:^|\.)\*(?=[.\[)]|$)")
FILTER = re.compile(r"\[(?:\s*@\.|[^\[\]\"'=]*(?:[?!<>~&|(]|=\s*[=~]|=[^\[\]\"']*(?:&&|\|\|)))")
BETWEEN = re.compile(r"[.\[\]\"']+")
FORM = (
    "names with dots between, [0] for the first entry of a list, [-1] for the last, [name=JOBS] for the one "
    'with that name, [*] for all, ["any name"] for a name with a dot or a parenthesis in it'
)


class Every:
    """Selects all entries of a list, or all values of an object."""

    def __str__(self) -> str:
        return "[*]"


@dataclass(frozen=True)
class Chosen:
    """Selects the one entry of a list with this text, whole number, true or false under that field."""

    field: tuple[str, ...]
    value: str

    def __str__(self) -> str:
        return f"entry with {self._condition}"[:60]

    @property
    def _condition(self) -> str:
        return f"{'.'.join(self.field)}={self.value}"

    def one_of(self, entries: Any, place: str) -> Any:
        """Returns the selected one of `entries`. Raises LookupError unless exactly one fits."""
        found = [entry for entry in entries if self._fits(entry)] if _is_list(entries) else []
        if len(found) > 1:
            here = short(self._condition)
            raise LookupError(
                f"{place} has {len(found)} entries with {here}; expected one: [{here}][*] adds them up"
            )
        if not found:
            raise LookupError(f"{place} has no {self}: it is {_kind(entries)}")
        return found[0]

    def all_of(self, entries: Any, place: str) -> list[Any]:
        """Returns all selected entries, which may be none. Raises LookupError if no entry has the field."""
        known = [entry for entry in entries if self._field_of(entry) is not None] if _is_list(entries) else []
        # A misspelt field would be taken for an empty selection.
        if not known and (not _is_list(entries) or entries):
            raise LookupError(f"{place} has no {self}: it is {_kind(entries)}")
        return [entry for entry in known if self._fits(entry)]

    def _field_of(self, entry: Any) -> Any:
        for name in self.field:
            if not _has(entry, name):
                return None
            entry = entry[name]
        return entry

    def _fits(self, entry: Any) -> bool:
        there = self._field_of(entry)
        if isinstance(there, bool):  # as JSON writes it, not Python
            return self.value == ("true" if there else "false")
        return isinstance(there, (str, int)) and str(there) == self.value


Step = str | int | Chosen | Every


class JSONPath:
    """A parsed path. A `$` in front is allowed, and the empty path is the whole document.

    Raises ValueError, with the right form where it can be guessed, if the text has another form.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            counts, self.steps = _parsed(text)
        except ValueError:
            raise ValueError(_other_form(text) or f"expected {FORM}") from None
        self.counts = counts
        """Whether the path is length(...): the number of entries, and not their value."""
        if counts and self.steps and isinstance(self.steps[-1], Chosen):
            # The number of fields of an object would look like one of entries.
            raise ValueError(f"is the length of one entry: write {short(text.strip()[:-1].rstrip())}[*])")
        self.several = any(isinstance(step, Every) for step in self.steps)
        """Whether it may select any number of values."""

    def find(self, document: Any) -> Any:
        """Returns the value at this path; the list of all values if it may select several; the number of
        entries for length(...), in all lists together if it selects several. Raises LookupError, naming the
        first step that is missing."""
        # A path that may select several gives a list even for one, so that it means the same every time.
        found = _values(document, "the answer", self.steps)
        if not self.counts:
            return found if self.several else found[0]
        if self.steps and isinstance(self.steps[-1], Every):
            return len(found)
        return sum(self._length(value) for value in found)

    def _length(self, value: Any) -> int:
        if _is_list(value) or isinstance(value, Mapping):
            return len(value)
        place = _shown(self.steps[-1]) if self.steps else "the answer"
        raise LookupError(f"{place} has no length: it is {_kind(value)}")

    def guesses(self, document: Any) -> str:
        """Describes the first step that selects one of several objects by its position; "" if there is
        none. Raises LookupError as `find`."""
        value, place = document, "the answer"
        for i, step in enumerate(self.steps):
            # Many servers do not keep the order of such a list, so the position is a guess.
            if isinstance(step, int) and _is_list(value) and len(value) > 1 and isinstance(value[0], Mapping):
                return f"{place} is a list of {len(value)}, of which {_shown(step)} is taken"
            if isinstance(step, Every) or _selects_all(self.steps, i):
                return ""  # a choice behind it would be one for each entry
            value, place = _taken(value, step, place), _shown(step)
        return ""


def _values(value: Any, place: str, steps: Sequence[Step]) -> list[Any]:
    """Returns the values that these steps select in a value, in its order."""
    for i, step in enumerate(steps):
        if isinstance(step, Every):
            rest = steps[i + 1 :]
            return [found for at, entry in _entries(value, place) for found in _values(entry, at, rest)]
        if isinstance(step, Chosen) and _selects_all(steps, i):
            value, place = step.all_of(value, place), _shown(step)
        else:
            value, place = _taken(value, step, place), _shown(step)
    return [value]


def _selects_all(steps: Sequence[Step], i: int) -> bool:
    """Whether the step is a selection with [*] behind it: all that fit, and not one."""
    return isinstance(steps[i], Chosen) and i + 1 < len(steps) and isinstance(steps[i + 1], Every)


def _entries(value: Any, place: str) -> list[tuple[str, Any]]:
    """Returns every entry with its place."""
    if _is_list(value):
        return [(f"entry {i} of {place}", entry) for i, entry in enumerate(value)]
    if isinstance(value, Mapping):
        return [(repr(name)[:60], entry) for name, entry in value.items()]
    raise LookupError(f"{place} has no entries: it is {_kind(value)}")


def _taken(value: Any, step: str | int | Chosen, place: str) -> Any:
    if isinstance(step, Chosen):
        return step.one_of(value, place)
    if step == "length" and _is_list(value):  # as in JavaScript
        return len(value)
    if not _has(value, step):
        raise LookupError(f"{place} has no {_shown(step)}: it is {_kind(value)}{_hint(value, step)}")
    return value[step]


def _hint(value: Any, step: str | int) -> str:
    """Returns the way to the entries of a list, for a path that names a field of it."""
    if not _is_list(value) or not isinstance(step, str):
        return ""
    if step.isdecimal():
        return f"; write [{step}]"
    return f"; [0].{short(step)} takes it of the first, [*].{short(step)} adds up all"


def _parsed(text: str) -> tuple[bool, list[Step]]:
    """Returns whether it is length(...), and the steps. Raises ValueError."""
    counted = LENGTH.fullmatch(text.strip())
    text = (counted[1] if counted else text).strip()
    rest = text.removeprefix("$")
    steps: list[Step] = []
    while rest:
        found = STEP.match(rest)
        if not found or (not steps and text.startswith((".", "/"))):
            raise ValueError(FORM)
        name, number, *quoted, every, field, double, single, bare = found.groups()
        if name is not None and ((steps and not rest.startswith(".")) or not _is_name(name)):
            raise ValueError(FORM)
        if field is not None:
            value = double or single or (bare or "").strip()
            steps.append(Chosen(tuple(field.split(".")), value))
        elif every:
            steps.append(Every())
        else:
            steps.append(int(number) if number is not None else name or quoted[0] or quoted[1])
        rest = rest[found.end() :]
    return counted is not None, steps


def _is_name(name: str) -> bool:
    """Whether a name without quotes is one, and not a part of a function of another notation."""
    return name.count("(") == name.count(")") and not CALL.fullmatch(name)


def _other_form(text: str) -> str:
    """Returns the right form of a path in another well-known notation; "" for any other text."""
    text = text.strip()
    for pattern, form in OTHER_WORDS:
        found = pattern.fullmatch(text)
        path = STAR.sub("[*]", found[1].strip()) if found else ""
        if path and _is_path(form.format(path)):
            why = ", which adds up by itself" if "sum(" in text and "[*]" in path else ""
            return f"cannot be read: write {form.format(short(path))}{why}"
    counted = LENGTH.fullmatch(text)
    text = counted[1].strip() if counted else text
    if text.startswith("/"):
        names = [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]
        return f"is a JSON Pointer: write {short(_written(names))}" if all(names) else ""
    if text.startswith(".") and _is_path(text[1:]):
        return f"begins with a dot: write {short(text[1:])}"
    # Filters of JSONPath and JMESPath can do far more; nearly all compare one field.
    if FILTER.search(text):
        return "is a filter: write [name=VALUE] for the entry with that value, [name=VALUE][*] for all such"
    if ".." in text:
        return "has two dots: name every step of the way, with [*] for all entries of a list"
    for name in BETWEEN.split(text.removeprefix("$")):
        if name.strip() and len(name.split(maxsplit=1)[0]) < len(name):
            return f'has a name with a blank: write ["{short(name.strip())}"], with the quotes'
    return ""


def _is_path(text: str) -> bool:
    try:
        _parsed(text)
    except ValueError:
        return False
    return True


def _written(names: Sequence[str]) -> str:
    """Writes the steps of a JSON Pointer as a path."""
    path = ""
    for name in names:
        if name.isdecimal():
            path += f"[{name}]"
        elif PLAIN.fullmatch(name) and _is_name(name):
            path += f".{name}" if path else name
        else:
            path += f'["{name}"]'
    return path


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(value, Mapping) and step in value
    return _is_list(value) and -len(value) <= step < len(value)


def _shown(step: Step) -> str:
    if isinstance(step, (Chosen, Every)):
        return str(step)
    return f"entry {step}" if isinstance(step, int) else repr(step)[:60]


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object without it"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return "null" if value is None else f"{value!r:.40}"
