"""Variables in text."""

from __future__ import annotations

from pathlib import Path

import pytest

from microscaling.secrets.references import Unset, filled_in, filled_in_url

ENVIRON = {"A": "1", "WORD": "p@ss/w:rd", "HOST": "h:80", "EMPTY": "", "TWICE": "${A}"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("Bearer ${A}${A}", "Bearer 11"),
        ("$A $${A} ${a-b} ${", "$A ${A} ${a-b} ${"),
        ("${TWICE}", "${A}"),
        ("${WORD}", "p@ss/w:rd"),
    ],
)
def test_filled_in(text: str, result: str) -> None:
    assert filled_in(text, ENVIRON) == result


@pytest.mark.parametrize(
    ("url", "result"),
    [
        ("http://me:${WORD}@${HOST}/q?x=${A}", "http://me:p%40ss%2Fw%3Ard@h:80/q?x=1"),
        ("http://${HOST}/${WORD}", "http://h:80/p@ss/w:rd"),
        ("http://${HOST}/${A}@example?q=${WORD}@b", "http://h:80/1@example?q=p@ss/w:rd@b"),
        ("http://me:${WORD}@${HOST}/${A}@b", "http://me:p%40ss%2Fw%3Ard@h:80/1@b"),
        ("${TWICE}", "${A}"),
    ],
)
def test_filled_in_url(url: str, result: str) -> None:
    assert filled_in_url(url, ENVIRON) == result


def test_a_variable_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("p@ss\n")
    environ = {
        "WORD_FILE": str(tmp_path / "word"),
        "A": "1",
        "A_FILE": "/not/looked/at",
        "NO_FILE": "/no/such",
    }
    assert filled_in_url("http://me:${WORD}@h/${A}", environ) == "http://me:p%40ss@h/1"
    for text in ("${NO}", "http://u:${NO}@h"):
        with pytest.raises(Unset, match=r"^NO_FILE: /no/such: cannot be read: No such file"):
            filled_in_url(text, environ)


@pytest.mark.parametrize("name", ["EMPTY", "MISSING"])
def test_unset(name: str) -> None:
    for text in (f"${{{name}}}", f"http://u:${{{name}}}@h"):
        with pytest.raises(Unset, match=f"^the variable {name}, which it refers to, is not set$"):
            filled_in_url(text, ENVIRON)
