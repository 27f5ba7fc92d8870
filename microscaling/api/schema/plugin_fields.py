"""Reads the keys of a task's `config` that a plugin declares."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from math import inf, nan
from typing import Any

from microscaling.api.schema.section import Section, shown
from microscaling.api.schema.variables import remember_secrets
from microscaling.errors import ConfigError
from microscaling.plugins import Field
from microscaling.secrets.references import Unset, filled_in, filled_in_url
from microscaling.utils.text import clean, one_line


def read_fields(config: Section, fields: Iterable[Field], by: str) -> dict[str, Any] | None:
    """Returns the value of every field by its key; None, and a note, if one of them is invalid. `by` names
    their reader in notes, as in "metricType HTTP"."""
    # All are read before the first bad one counts, so that the notes are complete.
    values = {field.key: _read(config, field, by) for field in fields}
    return None if _UNUSABLE in values.values() else values


def made(config: Section, make: Callable[[], Any]) -> Any:
    """Returns the result of `make`; None if it raises ConfigError, with a note at the key of each problem."""
    try:
        return make()
    except ConfigError as error:
        for problem in error.problems:
            key, _, rest = problem.partition(": ")
            config.notes.problem(config.at(key), rest)
        return None


class _Unusable(Exception):
    """The value is invalid, and has been noted."""


_UNUSABLE = object()


def _read(config: Section, field: Field, by: str) -> Any:
    there = config.take(field.key)
    try:
        if there is None or (isinstance(there, str) and not there.strip()):
            return _absent(config, field, by, there)
        value = _READERS[field.kind](config, field, there)
        # Headers were checked one by one, for notes with their places.
        if field.check is not None and field.kind != "headers":
            field.check(value)
        return value
    except (Unset, ConfigError) as error:
        for problem in getattr(error, "problems", [str(error)]):
            config.notes.problem(config.at(field.key), problem)
    except _Unusable:
        pass
    return _UNUSABLE


def _absent(config: Section, field: Field, by: str, there: Any) -> Any:
    if field.required:
        config.notes.problem(config.at(field.key), f"is missing: {by} needs it")
        raise _Unusable
    if field.expected and not there:  # the Go agent accepts such a task
        note = config.notes.problem if config.notes.strict else config.notes.warn
        note(config.at(field.key), "is missing: with nothing to measure, the task stays put")
    return ABSENT[field.kind] if field.default is None else field.default


def _text(config: Section, field: Field, there: Any) -> str:
    if isinstance(there, list):
        place, key = config.at(field.key), field.key
        # Some keys have been read before, for any metric, and noted then.
        if not any(note.startswith(f"{place}: ") for note in config.notes.problems):
            config.notes.problem(
                place, f"expected text, got a list: several are sources: [{{{key}: A}}, {{{key}: B}}]"
            )
        raise _Unusable
    if not isinstance(there, str):
        config.wrong(field.key, "text", there)
        raise _Unusable
    return config.text(field.key)


def _choice(config: Section, field: Field, there: Any) -> str:
    value = _text(config, field, there)
    if config.notes.strict:
        same = (choice for choice in field.choices if choice.casefold() == value.casefold())
        value = next(same, value)
    if value not in field.choices:
        config.none_of(field.key, field.choices, value)
        raise _Unusable
    return value


def _url(config: Section, field: Field, there: Any) -> str:
    url = _text(config, field, there)
    remember_secrets(url)
    return filled_in_url(url, os.environ)


def _headers(config: Section, field: Field, there: Any) -> dict[str, str]:
    """Returns name and value of each header."""
    # No error quotes a value, as it may be a secret.
    headers: dict[str, str] = {}
    bad = not isinstance(there, Mapping)
    for name, value in config.section(field.key).items():
        place = config.at(f"{field.key}.{one_line(name)}")
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            config.notes.problem(place, f"expected text, got {shown(value)}")
            bad = True
            continue
        try:
            header = {clean(name): _filled(clean(str(value)))}
            if field.check is not None:
                field.check(header)
            headers |= header
        except (Unset, ConfigError) as error:
            config.notes.problem(place, str(error))
            bad = True
    if bad:
        raise _Unusable
    return headers


def _params(config: Section, field: Field, there: Any) -> dict[str, Any]:
    """Returns name and value, or a list of values, of each parameter of a query; all are text."""
    params: dict[str, Any] = {}
    bad = not isinstance(there, Mapping)
    for name, value in config.section(field.key).items():
        place = config.at(f"{field.key}.{one_line(name)}")
        # A list is the same word several times, as in state=queued&state=running.
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, (str, int, float)) for one in values):  # true and false are integers, too
            config.notes.problem(place, f"expected text, a number or a list of those, got {shown(value)}")
            bad = True
            continue
        try:
            params[name] = [_filled(_as_json(one)) for one in values]
        except Unset as error:
            config.notes.problem(place, str(error))
            bad = True
    if bad:
        raise _Unusable
    return params


def _as_json(value: str | float) -> str:
    # Python writes True, and the other side expects true.
    return value if isinstance(value, str) else json.dumps(value)


def _body(config: Section, field: Field, there: Any) -> str:
    """Returns text as it is, and an object or a list as JSON."""
    if not isinstance(there, (str, Mapping, list)):
        config.wrong(field.key, "text, an object or a list", there)
        raise _Unusable
    if isinstance(there, str):
        try:
            there = json.loads(there)
        except (ValueError, RecursionError):
            return _filled(there)
    return json.dumps(_filled_in_each(there))


def _filled(text: str) -> str:
    remember_secrets(text)
    return filled_in(text, os.environ)


def _filled_in_each(value: Any) -> Any:
    """Fills in the texts within parsed JSON, before it becomes text again: a value may have a quote in it."""
    if isinstance(value, str):
        return _filled(value)
    if isinstance(value, Mapping):
        return {name: _filled_in_each(inner) for name, inner in value.items()}
    return [_filled_in_each(inner) for inner in value] if isinstance(value, list) else value


def _whole(config: Section, field: Field, there: Any) -> int:
    value = config.whole(field.key, field.least, field.most)
    # For an invalid value `whole` notes it and returns 0.
    if value != there or isinstance(there, bool):
        raise _Unusable
    return value


def _number(config: Section, field: Field, there: Any) -> float:
    least, most = field.least or 0.0, inf if field.most is None else field.most
    value = config.number(field.key, nan, most, "a number", least)
    if value != value:  # nan, the default given above: the value was invalid
        raise _Unusable
    return value


def _flag(config: Section, field: Field, there: Any) -> bool:
    if not isinstance(there, bool):
        config.wrong(field.key, "true or false", there)
        raise _Unusable
    return there


ABSENT: Mapping[str, Any] = {
    "text": "",
    "choice": "",
    "url": "",
    "headers": {},
    "params": {},
    "body": None,
    "whole": 0,
    "number": 0.0,
    "flag": False,
}
"""The value of an absent field without a default, by kind."""
_READERS: Mapping[str, Callable[[Section, Field, Any], Any]] = {
    "text": _text,
    "choice": _choice,
    "url": _url,
    "headers": _headers,
    "params": _params,
    "body": _body,
    "whole": _whole,
    "number": _number,
    "flag": _flag,
}
