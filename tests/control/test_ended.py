"""Commands for agents that end between the list of them and the request."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microscaling.control import command
from microscaling.control.client import AgentError, ask

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
    monkeypatch.setattr(command, "agents", lambda environ, silent=None: found)
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


@pytest.mark.parametrize("ends", [True, False])
def test_one_that_ends_while_a_request_waits(tmp_path: Path, ends: bool) -> None:
    path = str(tmp_path / "ends.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def end() -> None:
            connection, _ = server.accept()
            connection.recv(1)  # what is not read is answered by a reset
            if ends:
                server.close()
            connection.close()

        thread = threading.Thread(target=end)
        thread.start()
        try:
            with pytest.raises(ProcessLookupError if ends else AgentError):
                ask(path, "GET /status")
        finally:
            thread.join()


def test_a_reload_of_one_that_has_ended_is_no_refusal(gone: list[tuple[str, Any]]) -> None:
    assert command.reload({}, False, str, str) == 0


def refusing(path: str, what: str, **query: str) -> Any:
    if "refuses" in path:
        raise AgentError(f"{path} refuses")
    return {"said": f"{path} does it", "problems": []}


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """Three agents, of which one refuses, and one does not answer; and what is said to a person."""

    def agents(environ: object, silent: list[str] | None = None) -> list[tuple[str, Any]]:
        if silent is not None:
            silent.append("one does not answer")
        return [("/refuses", TOLD), ("/well", TOLD)]

    monkeypatch.setattr(command, "agents", agents)
    monkeypatch.setattr(command, "ask", refusing)
    return [], []


@pytest.mark.parametrize(("what", "words"), [("pause", []), ("pin", ["web", "2"])])
def test_one_that_refuses_keeps_no_other_from_it(
    three: tuple[list[str], list[str]], what: str, words: list[str]
) -> None:
    out, err = three
    assert command.order({}, what, words, None, out.append, write_error=err.append) == 1
    assert out == ["/well does it\n"]
    assert "microscaling: process 7: /refuses refuses\n" in err


def test_to_resume_one_of_two_with_the_task(three: tuple[list[str], list[str]]) -> None:
    out, err = three
    assert command.order({}, "resume", ["web"], None, out.append, write_error=err.append) == 0
    assert (out, err) == (["/well does it\n"], ["microscaling: one does not answer\n"])


def test_one_that_does_not_answer_may_have_the_task_too(three: tuple[list[str], list[str]]) -> None:
    out, err = three
    assert command.order({}, "restart", ["web"], None, out.append, write_error=err.append) == 1
    assert err[0] == "microscaling: one does not answer\n"
    assert out == ["/well does it\n"]


def test_to_resume_all_some_have_nothing(three: tuple[list[str], list[str]]) -> None:
    out, err = three
    assert command.order({}, "resume", [], None, out.append, write_error=err.append) == 1
    assert (out, err) == (["/well does it\n"], ["microscaling: one does not answer\n"])


def test_to_resume_all_none_has_anything(
    three: tuple[list[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = three
    monkeypatch.setattr(command, "agents", lambda environ, silent=None: [("/refuses", TOLD)])
    assert command.order({}, "resume", [], None, out.append, write_error=err.append) == 1
    assert (out, err) == ([], ["microscaling: /refuses refuses\n"])


def test_one_that_does_not_answer_is_named(three: tuple[list[str], list[str]]) -> None:
    out, err = three
    with pytest.raises(AgentError, match="; one does not answer"):
        command.explain({}, "zzz", str)
    assert command.reload({}, False, out.append, err.append) == 1
    assert err[0] == "microscaling: one does not answer\n"


def test_to_resume_a_task_that_is_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent says at its start that it is still paused, and how to end that."""
    monkeypatch.setattr(command, "agents", lambda environ, silent=None: [("/refuses", TOLD), ("/well", TOLD)])
    monkeypatch.setattr(command, "ask", refusing)
    out: list[str] = []
    err: list[str] = []
    assert command.order({}, "resume", ["gone"], None, out.append, write_error=err.append) == 0
    assert (out, err) == (["/well does it\n"], [])
    monkeypatch.setattr(command, "agents", lambda environ, silent=None: [("/refuses", TOLD)])
    with pytest.raises(AgentError, match='no agent has a task "wbe"; there are web'):
        command.order({}, "resume", ["wbe"], None, out.append)
    with pytest.raises(AgentError, match='no agent has a task "wbe"; there are web'):
        command.order({}, "pause", ["wbe"], None, out.append)
