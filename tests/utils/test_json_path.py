"""The way to a place in JSON."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from microscaling.utils.json_path import JSONPath

DOCUMENT: dict[str, Any] = {
    "a": {"b": [{"c": 7}, [8, 9]], "": 1},
    "x.y": {"z-1": "12"},
    "data": {"result": [{"value": [1.5, "3"]}]},
    "nothing": None,
    "é b": 5,
    "rows": [
        {
            "count(*)": 4,
            "count()": 5,
            "sum(n)": 6,
            "*": 7,
            "@type": "job",
            "mark": "=x",
            "at": "2020-01-01T00:00:00+00:00",
        }
    ],
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
        ("streams[flag=true].n", 1),
        ("length(streams[flag=false][*])", 0),
        ("a.b[-1][-2]", 8),
        ("streams[-1].n", 3),
        ("a.b.length", 2),
        ("length(a.b)", 2),
        ("length(a)", 2),
        ("length()", 7),
        (" length( streams[*] ) ", 3),
        ("length(streams[same=yes][*])", 3),
        ("length(streams[name=x][*])", 0),
        ("length(streams[name=JOBS].at)", 1),
        ("length(streams[*].at)", 3),
        ("length(data.result[*].value)", 2),
        ("length(data.result[*].value[*])", 2),
        ("length(a[*])", 2),
        ("length(streams[name=x][*].at)", 0),
        ("streams[ n = 2 ].name", "JOBS"),
        ("streams[name= JOBS ].n", 2),
        ('streams[ name = "JOBS" ].n', 2),
        ("length(streams[n = 2][ * ])", 1),
        ("a.b[ 1 ][ -1 ]", 9),
        ("rows[0].count(*)", 4),
        ("rows[0].count()", 5),
        ("rows[@type=job].sum(n)", 6),
        ("rows[at=2020-01-01T00:00:00+00:00].sum(n)", 6),
        ("rows[mark='=x'].sum(n)", 6),
        ('rows[0]["*"]', 7),
        ("streams[*].n", [1, 2, 3]),
        ("streams[*].at.host", ["a", "b", "c"]),
        ("streams[name=JOBS][*].n", [2]),
        ("streams[at.host=x][*].n", []),
        ("a.b[1][*]", [8, 9]),
        ("data[*][*].value[1]", ["3"]),
        ('["x.y"][*]', ["12"]),
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
        (
            "a.b.c",
            "'b' has no 'c': it is a list of 2; [0].c takes it of the first, [*].c adds up all",
        ),
        ("a.b.0", "'b' has no '0': it is a list of 2; write [0]"),
        ("a.b[-3]", "'b' has no entry -3: it is a list of 2"),
        ("nothing[*]", "'nothing' has no entries: it is null"),
        ("streams[*].name", "entry 2 of 'streams' has no 'name': it is an object without it"),
        ("streams[nmae=x][*].n", "'streams' has no entry with nmae=x: it is a list of 3"),
        ("a[same=yes][*].n", "'a' has no entry with same=yes: it is an object without it"),
        ("length(nothing)", "'nothing' has no length: it is null"),
        ("length(streams[*].n)", "'n' has no length: it is 1"),
        ("length(streams[n=1][*].same)", "'same' has no length: it is 'yes'"),
        ("length(a.c)", "'a' has no 'c': it is an object without it"),
        ('["x.y"].z-1[0]', "'z-1' has no entry 0: it is '12'"),
        ("nothing.more", "'nothing' has no 'more': it is null"),
        ("a.b[0].c.d", "'c' has no 'd': it is 7"),
        ("streams[name=x].n", "'streams' has no entry with name=x: it is a list of 3"),
        ("streams[name=jobs]", "'streams' has no entry with name=jobs: it is a list of 3"),
        (
            "streams[same=yes]",
            "'streams' has 3 entries with same=yes; expected one: [same=yes][*] adds them up",
        ),
        ("streams[flag=True]", "'streams' has no entry with flag=True: it is a list of 3"),
        ("streams[flag=1]", "'streams' has no entry with flag=1: it is a list of 3"),
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
    ["a.", "a[", "a[]", "a[b]", "a['b]", "a]b", "[0]a", "$a.b.", "a[1:2]", "a[--1]", "a[**]", "/", "//a",
     "a.[0]", "a[=x]", "a[b=", "a[b='x]", "a[.b=x]", "a(", "max(a[*].b)"],
)  # fmt: skip
def test_bad_form(path: str) -> None:
    with pytest.raises(ValueError, match="expected names with dots between"):
        JSONPath(path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/a/b/0/c", "is a JSON Pointer: write a.b[0].c"),
        ("/x.y/z~1 1", 'is a JSON Pointer: write ["x.y"]["z/ 1"]'),
        ("/rows/0/count(*)/*", 'is a JSON Pointer: write rows[0].count(*)["*"]'),
        (".a.b[0]", "begins with a dot: write a.b[0]"),
        ("a..b", "has two dots: name every step of the way, with [*] for all entries of a list"),
        ("$..b", "has two dots: name every step of the way, with [*] for all entries of a list"),
        (
            "$.a[?(@.name=='x')].b",
            "is a filter: write [name=VALUE] for the entry with that value, [name=VALUE][*] for all such",
        ),
        ("data.Queue Size.n", 'has a name with a blank: write ["Queue Size"], with the quotes'),
        ("a b", 'has a name with a blank: write ["a b"], with the quotes'),
    ],
)
def test_other_notations(path: str, said: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(said) + "$"):
        JSONPath(path)


@pytest.mark.parametrize(
    "path",
    [
        "runs[?(@.status==queued)][*].id",
        "runs[?(@.status==queued)]",
        "runs[?status==queued][*].id",
        "runs[@.status=queued][*].id",
        "runs[status!=done][*].id",
        "runs[status==queued].id",
        "runs[status = =queued].id",
        "runs[status=~queue][*].id",
        "runs[n>1][*].id",
        "runs[n<=1][*].id",
        "runs[a=1&&b=2][*].id",
        "runs[a&b=1].id",
        "runs[contains(id)=1].id",
    ],
)
@pytest.mark.parametrize("form", ["{}", "length({})", "$.{}"])
def test_filters_of_other_notations(path: str, form: str) -> None:
    with pytest.raises(ValueError, match=r"^is a filter: write \[name=VALUE\] for the entry"):
        JSONPath(form.format(path))


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("jobs | length", "length(jobs)"),
        ("jobs|length", "length(jobs)"),
        (".jobs | length", "length(jobs)"),
        ("jobs[*] | length(@)", "length(jobs[*])"),
        ("jobs.length()", "jobs.length"),
        ("$.jobs.size()", "$.jobs.length"),
        ("length(jobs", "length(jobs)"),
        ("length (jobs)", "length(jobs)"),
        ("length(a.jobs))", "length(a.jobs)"),
        ("sum(jobs[*].n)", "jobs[*].n, which adds up by itself"),
        ("sum(jobs.*.n)", "jobs[*].n, which adds up by itself"),
        ("jobs[*].n.sum()", "jobs[*].n, which adds up by itself"),
        ("jobs.*.n", "jobs[*].n"),
        ("$.*", "$[*]"),
        ("*.n", "[*].n"),
        ("length(jobs.*)", "length(jobs[*])"),
    ],
)
def test_functions_of_other_notations(path: str, right: str) -> None:
    with pytest.raises(ValueError, match="^cannot be read: write " + re.escape(right) + "$"):
        JSONPath(path)


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("length(runs[status=queued])", "length(runs[status=queued][*])"),
        (" length( [status='a b'] ) ", "length( [status='a b'][*])"),
    ],
)
def test_the_fields_of_one_entry_are_not_counted(path: str, right: str) -> None:
    """An object of 6 fields would be 6 jobs."""
    with pytest.raises(ValueError, match="^is the length of one entry: write " + re.escape(right) + "$"):
        JSONPath(path)


@pytest.mark.parametrize("part", ["length(", ")", "[a=", "|", " ", "sum(.*", "[*]", "&&"])
def test_a_long_text_is_judged_at_once(part: str) -> None:
    """Regular expressions that try every beginning would take minutes, while the agent does nothing."""
    text = part * 30_000 + "("
    busy = time.thread_time()
    with pytest.raises(ValueError, match=r"expected|filter|blank"):
        JSONPath(text)
    assert time.thread_time() - busy < 10


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("streams[0].n", "'streams' is a list of 3, of which entry 0 is taken"),
        ("a.b[1][0]", ""),
        ("data.result[0].value[1]", ""),
        ("streams[name=JOBS].n", ""),
        ("streams[*].n", ""),
        ("streams[same=yes][*].n", ""),
        ("streams[-1].n", "'streams' is a list of 3, of which entry -1 is taken"),
    ],
)
def test_where_the_order_of_a_list_decides(path: str, said: str) -> None:
    objects = DOCUMENT | {"a": {"b": [7, [8, 9]]}}
    assert JSONPath(path).guesses(objects) == said
