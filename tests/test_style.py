"""The measures of style measure what they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.style import ROOT, main, package, rows, says_something

MODULE = '''"""Four words of prose."""

import os  # noqa: F401

# Because of what the kernel does.
LIMIT = 3
"""Nobody reads this."""
# -- heading ------


class Base:
    """A base."""

    def documented(self) -> None:
        """Does it."""

    def bare(self) -> None: ...


class Child(Base):
    """A child."""

    def documented(self) -> None: ...

    def _private(self) -> None: ...


class _Hidden:
    def bare(self) -> None: ...
'''


def test_the_measures(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "one.py").write_text(MODULE)
    dialect, speech, comments, methods, modules, functions = rows(package(tmp_path / "made"))
    words = 4 + 6 + 3 + 2 + 2 + 2
    assert dialect.value == f"{1000 * 2 / words:.1f}"
    assert speech.value == "0.0"
    assert comments.value == f"{100 / len(MODULE.splitlines()):.1f} %"
    assert methods.worst == ["made/one.py:17 Base.bare"]
    assert modules.value == "29 / 29 / 29"
    assert functions.value == "1 / 1 / 2"
    assert (dialect.met, speech.met, comments.met, modules.met) == (False, True, True, True)


@pytest.mark.parametrize(
    ("comment", "counts"),
    [
        ("# Older kernels have no pidfd.", True),
        ("# noqa: F401", False),
        ("# nosec B104  # here it is only compared with", True),
        ("# type: ignore[no-untyped-call]", False),
        ("# fmt: skip", False),
        ("# ------------", False),
        ("# What the fleet calls ------------------", False),
        ("#!/usr/bin/env python3", False),
        ("#", False),
    ],
)
def test_comments_that_count(comment: str, counts: bool) -> None:
    assert says_something(comment) is counts


def test_it_prints_a_table_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-v"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("measure ")
    assert "module lines, median / p90 / max" in out


def test_the_package_keeps_to_every_limit() -> None:
    missed = {
        row.name: (row.value, row.limit, row.worst)
        for row in rows(package(ROOT / "microscaling"))
        if not row.met
    }
    assert not missed
