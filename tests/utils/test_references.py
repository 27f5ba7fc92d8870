"""Variables in text."""

from __future__ import annotations

import pytest

from microscaling.utils.references import Unset, filled_in, filled_in_url

ENVIRON = {"A": "1", "WORD": "p@ss/w:rd", "HOST": "h:80", "EMPTY": "", "TWICE": "${A}"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("Bearer ${A}${A}", "Bearer 11"),
        ("$A $${A} ${a-b} ${", "$A $1 ${a-b} ${"),
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
        ("${TWICE}", "${A}"),
    ],
)
def test_filled_in_url(url: str, result: str) -> None:
    assert filled_in_url(url, ENVIRON) == result


@pytest.mark.parametrize("name", ["EMPTY", "MISSING"])
def test_unset(name: str) -> None:
    for text in (f"${{{name}}}", f"http://u:${{{name}}}@h"):
        with pytest.raises(Unset, match=f"^the variable {name}, which it refers to, is not set$"):
            filled_in_url(text, ENVIRON)
