"""Ids of agents, and what one agent can know of another: with real files and locks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from microscaling.scheduler.containers import agent_id
from microscaling.scheduler.containers.agent_id import Agent, AgentId
from microscaling.scheduler.containers.state_folder import default_folder

made: list[AgentId] = []


def agent(folder: Path, *tasks: str, source: str = "FILE /a", engine: str = "unix:///e") -> AgentId:
    one = AgentId(str(folder), engine, source)
    made.append(one)
    one.take(tasks)
    return one


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    while made:
        made.pop().close()


def test_it_is_the_same_in_the_next_life(tmp_path: Path) -> None:
    first = agent(tmp_path, "web", "batch")
    first.close()
    assert agent(tmp_path, "other").id == first.id, "from the same file"
    assert (tmp_path / "agents" / f"{first.id}.json").stat().st_mode & 0o777 == 0o600


def test_one_agent_at_a_time_has_it(tmp_path: Path) -> None:
    assert agent(tmp_path, "web").id != agent(tmp_path, "web").id


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({}, True),
        ({"source": "FILE /b"}, True),  # moved: a task of the same name
        ({"source": "FILE /b", "tasks": ("mail",)}, False),
        ({"tasks": ("mail",)}, True),  # renamed
        ({"engine": "tcp://other:2375"}, False),
    ],
)
def test_whose_successor_an_agent_is(tmp_path: Path, other: dict, same: bool) -> None:
    first = agent(tmp_path, "web", "batch")
    first.close()
    assert (agent(tmp_path, *other.pop("tasks", ("web",)), **other).id == first.id) is same


def test_of_several_it_is_the_successor_of_the_most_alike(tmp_path: Path) -> None:
    """Two agents that have their tasks from their environment, started again in the other order."""
    web, mail = (agent(tmp_path, task, source="ENVVAR") for task in ("web", "mail"))
    web.close()
    mail.close()
    assert agent(tmp_path, "mail", source="ENVVAR").id == mail.id
    assert agent(tmp_path, "web", source="ENVVAR").id == web.id


def test_what_is_known_of_others(tmp_path: Path) -> None:
    lives = agent(tmp_path, "mail", source="FILE /b")
    ended = agent(tmp_path, "old", source="FILE /c")
    elsewhere = agent(tmp_path, "far", source="FILE /d", engine="tcp://other:2375")
    me = agent(tmp_path, "web")
    ended.close()
    known, theirs = me.look([lives.id, ended.id, me.id, "0" * 12])
    assert known == {
        lives.id: Agent.LIVES, ended.id: Agent.ENDED, me.id: Agent.ME, "0" * 12: Agent.UNKNOWN,
    }  # fmt: skip
    assert theirs == {"mail"}
    assert elsewhere.id not in known


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    code = (
        "import sys, time; from microscaling.scheduler.containers.agent_id import AgentId; "
        "print(AgentId(sys.argv[1], 'unix:///e', 'FILE /a').take(['web']), flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        id = other.stdout.readline().strip()
        me = agent(tmp_path, "mail", source="FILE /b")
        assert me.look([id])[0] == {id: Agent.LIVES}
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert me.look([id])[0] == {id: Agent.ENDED}
    assert agent(tmp_path, "web").id == id


def test_an_agent_that_stands_still_while_it_looks_leaves_others_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_id, "SCAN_WAIT_S", 0.05)
    me = agent(tmp_path, "web")
    with me._scanning():
        assert me.look([me.id]) == ({me.id: Agent.ME}, None)
        other = agent(tmp_path, "mail")
        assert len(other.id) == 12
        assert "another agent holds its lock" in other.problem


def test_a_folder_that_cannot_be_used_is_no_end(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    me = agent(tmp_path / "file" / "x", "web")
    assert len(me.id) == 12
    assert "cannot be used" in me.problem
    assert me.look(["0" * 12, me.id]) == ({"0" * 12: Agent.UNKNOWN, me.id: Agent.ME}, frozenset())


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
@pytest.mark.parametrize("call", ["makedirs", "open"])
def test_where_nothing_can_be_written_it_has_an_id_for_this_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        one, other = agent(tmp_path, "web"), agent(tmp_path, "web")
    assert one.problem == f"{tmp_path}/agents cannot be used: {os.strerror(number)}"
    assert len(one.id) == len(other.id) == 12
    assert one.id != other.id
    assert one.look([other.id])[0] == {other.id: Agent.UNKNOWN}


def test_a_file_in_place_of_the_folder_is_no_end(tmp_path: Path) -> None:
    (tmp_path / "agents").touch()
    me = agent(tmp_path, "web")
    assert len(me.id) == 12
    assert "cannot be used" in me.problem


def test_the_default_folder_has_a_name_where_no_temporary_folder_can_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container with a read-only file system; whether it can be used is said when it is."""

    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert default_folder({}) == f"/tmp/microscaling-{os.getuid()}"
    assert default_folder({"XDG_RUNTIME_DIR": "/run/x"}) == f"/run/x/microscaling-{os.getuid()}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    os.chown(tmp_path / "agents", 12345, 12345)
    assert "is not a folder of this user" in agent(tmp_path, "web").problem


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"engine": 1}', b"[" * 100_000])
def test_a_record_that_cannot_be_read_hinders_nobody(tmp_path: Path, content: bytes) -> None:
    first = agent(tmp_path, "web")
    first.close()
    (tmp_path / "agents" / f"{first.id}.json").write_bytes(content)
    me = agent(tmp_path, "web")
    assert me.id != first.id
    assert me.look([first.id])[0] == {first.id: Agent.ENDED}


def test_files_of_the_dead_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_id, "MAX_KEPT", 3)
    for number in range(10):
        agent(tmp_path, f"task-{number}", source=f"FILE /{number}").close()
    lives = agent(tmp_path, "lives", source="FILE /lives")
    agent(tmp_path, "last", source="FILE /last")
    left = {path.stem for path in (tmp_path / "agents").glob("*.json")}
    assert len(left) <= 6
    assert lives.id in left
