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
    "streams": [
        {"name": "a.b]", "n": 1, "at": {"host": "a"}, "same": "yes", "flag": True},
        {"name": "JOBS", "n": 2, "at": {"host": "b"}, "same": "yes"},
        {"n": 3, "at": {"host": "c"}, "same": "yes"},
    ],
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
        ("streams[name=JOBS].n", 2),
        ('streams[name="JOBS"].n', 2),
        ("streams[name='a.b]'].n", 1),
        ("streams[n=2].name", "JOBS"),
        ("streams[at.host=c].n", 3),
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
        ("streams[name=x].n", "'streams' has no entry with name=x: it is a list of 3"),
        ("streams[name=jobs]", "'streams' has no entry with name=jobs: it is a list of 3"),
        ("streams[same=yes]", "'streams' has 3 entries with same=yes; expected one"),
        ("streams[flag=true]", "'streams' has no entry with flag=true: it is a list of 3"),
        ("a[c=7]", "'a' has no entry with c=7: it is an object without it"),
        ("streams[name=JOBS].m", "entry with name=JOBS has no 'm': it is an object without it"),
    ],
)
def test_not_found(path: str, said: str) -> None:
    with pytest.raises(LookupError) as error:
        JSONPath(path).find(DOCUMENT)
    assert error.value.args[0] == said


@pytest.mark.parametrize(
    "path",
    [".a", "a.", "a..b", "a[", "a[]", "a[-1]", "a[*]", "a[b]", "a['b]", "a]b", "a b", "[0]a", "$a.b.",
     "a[1:2]", "a.[0]", "a[=x]", "a[b=", "a[b='x]", "a[.b=x]"],
)  # fmt: skip
def test_bad_form(path: str) -> None:
    with pytest.raises(ValueError, match="expected names with dots between"):
        JSONPath(path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("streams[0].n", "'streams' is a list of 3, of which entry 0 is taken"),
        ("a.b[1][0]", ""),
        ("data.result[0].value[1]", ""),
        ("streams[name=JOBS].n", ""),
    ],
)
def test_where_the_order_of_a_list_decides(path: str, said: str) -> None:
    objects = DOCUMENT | {"a": {"b": [7, [8, 9]]}}
    assert JSONPath(path).guesses(objects) == said
