"""The way to a place in JSON."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.utils.json_path import JSONPath

DOCUMENT: dict[str, Any] = {
    "a": {"b": [{"c": 7}, [8, 9]], "": 1},
    "x.y": {"z-1": "12"},
    "data": {"result": [{"value": [1.5, "3"]}]},
    "nothing": None,
    "é b": 5,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b[0].c", 7),
        ("$.a.b[0].c", 7),
        ("$['a'].b[1][1]", 9),
        (' ["x.y"].z-1 ', "12"),
        ("['x.y'][\"z-1\"]", "12"),
        ("data.result[0].value[1]", "3"),
        ("nothing", None),
        ('["é b"]', 5),
        ("", DOCUMENT),
        ("$", DOCUMENT),
    ],
)
def test_found(path: str, value: object) -> None:
    assert JSONPath(path).find(DOCUMENT) == value


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a.c", "'a' has no 'c': it is an object without it"),
        ("A", "the answer has no 'A': it is an object without it"),
        ("a.b[2]", "'b' has no entry 2: it is a list of 2"),
        ("a[0]", "'a' has no entry 0: it is an object without it"),
        ("a.b.c", "'b' has no 'c': it is a list of 2"),
        ('["x.y"].z-1[0]', "'z-1' has no entry 0: it is '12'"),
        ("nothing.more", "'nothing' has no 'more': it is null"),
        ("a.b[0].c.d", "'c' has no 'd': it is 7"),
    ],
)
def test_not_found(path: str, said: str) -> None:
    with pytest.raises(LookupError) as error:
        JSONPath(path).find(DOCUMENT)
    assert error.value.args[0] == said


@pytest.mark.parametrize(
    "path",
    [".a", "a.", "a..b", "a[", "a[]", "a[-1]", "a[*]", "a[b]", "a['b]", "a]b", "a b", "[0]a", "$a.b.",
     "a[1:2]", "a.[0]"],
)  # fmt: skip
def test_bad_form(path: str) -> None:
    with pytest.raises(ValueError, match="expected names with dots between"):
        JSONPath(path)
