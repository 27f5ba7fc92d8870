"""Commands for agents that end between the list of them and the request."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microscaling.control import command
from microscaling.control.client import AgentError

TOLD: dict[str, Any] = {"pid": 7, "noun": "container", "tasks": [{"name": "web"}]}
CALLS: list[Callable[[], int]] = [
    lambda: command.order({}, "pin", ["web", "2"], None, str),
    lambda: command.order({}, "pause", [], None, str),
    lambda: command.explain({}, "web", str),
]


@pytest.fixture
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """One whose socket is left, and one whose socket is not."""
    left = str(tmp_path / "left.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(left)
    found = [(left, TOLD), (str(tmp_path / "none.sock"), TOLD)]
    monkeypatch.setattr(command, "agents", lambda environ: found)
    return found


@pytest.mark.parametrize("call", CALLS)
def test_none_is_left(gone: list[tuple[str, Any]], call: Callable[[], int]) -> None:
    with pytest.raises(AgentError, match="no agent of this user runs here"):
        call()


def test_the_others_still_do_it(gone: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    gone.insert(1, ("/a-living-one", TOLD))
    ask = command.ask
    monkeypatch.setattr(
        command, "ask", lambda path, *a, **q: {"said": "done"} if "living" in path else ask(path, *a, **q)
    )
    lines: list[str] = []
    assert command.order({}, "pause", [], None, lines.append) == 0
    assert lines == ["done\n"]


def test_a_reload_of_one_that_has_ended_is_no_refusal(gone: list[tuple[str, Any]]) -> None:
    assert command.reload({}, False, str, str) == 0
