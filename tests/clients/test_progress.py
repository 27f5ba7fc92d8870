"""The progress of pulls, on a terminal and in a log."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from microscaling import log
from microscaling.clients.docker import progress
from microscaling.clients.docker.progress import Progress, bar
from microscaling.settings import Settings


class Screen(io.StringIO):
    """A terminal: `lines` are what a person sees on it."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return [line.rpartition(log.CLEAR)[2] for line in self.getvalue().split("\n")]


@pytest.fixture
def root() -> Iterator[None]:
    before = list(logging.root.handlers)
    yield
    logging.root.handlers = before


@pytest.fixture
def screen(root: None, monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setattr(progress, "DRAW_EVERY_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    made = Screen()
    log.setup(Settings(), made, {"NO_COLOR": "1"})
    return made


def test_pulls_share_the_last_line_of_a_terminal_below_the_log(screen: Screen) -> None:
    agent = logging.getLogger("mssagent")
    with Progress("a") as a, Progress("b") as b:
        a.update(5_000_000, 10_000_000)
        assert screen.lines()[-1] == "a [##########..........] 5 of 10 MB"
        b.update(0, 3_000_000)
        agent.info("said meanwhile")
        assert screen.lines()[-2].endswith("said meanwhile")
        assert screen.lines()[-1].split("  ") == [
            "a [##########..........] 5 of 10 MB",
            "b [....................] 0 of 3 MB",
        ]
    assert screen.lines()[-1] == ""
    agent.info("said afterwards")
    assert screen.lines()[-2].endswith("said afterwards")


def test_a_line_is_no_longer_than_the_terminal_is_wide(screen: Screen) -> None:
    with Progress("registry.example/" + 200 * "x") as long:
        long.update(1, 2)
        assert len(screen.lines()[-1]) == 119


@pytest.mark.parametrize("more", [{"log_format": "json"}, {}], ids=["json", "a dumb terminal"])
def test_whoever_reads_the_log_by_a_program_gets_lines(
    root: None, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SAY_EVERY_S", 0.0)
    monkeypatch.setenv("TERM", "dumb")
    made = Screen()
    log.setup(Settings(**more), made, {})
    with Progress("a") as shown:
        shown.update(1_000_000, 2_000_000)
    assert "pulling a: 1 of 2 MB" in made.getvalue()
    assert log.CLEAR not in made.getvalue()


@pytest.mark.parametrize(("have", "total", "drawn"), [(0, 0, "...."), (9, 3, "####"), (1, 3, "#...")])
def test_a_bar(have: int, total: int, drawn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "WIDTH", 4)
    assert bar(have * 10**6, total * 10**6) == f"[{drawn}] {have} of {total} MB"
