"""Local processes on a system without /proc, where `ps` shows what runs, and may fail."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from microscaling.errors import TemporaryError
from microscaling.scheduler.containers.backend import State
from microscaling.scheduler.process.backend import ProcessBackend
from microscaling.scheduler.process.family import marked
from microscaling.scheduler.process.unit import MARK
from microscaling.supervision.health import Report
from microscaling.supervision.heartbeat import Heartbeat
from microscaling.utils import process as processes
from microscaling.utils.process import may_live, start_time
from tests.scheduler.processes import SLEEP, backends, pid_of, run, states

HANGS, REFUSES, WORKS = "exec sleep 300", "echo 'ps: no' >&2; exit 1", ""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., ProcessBackend]]:
    with backends(str(tmp_path / "state")) as make:
        yield make


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Takes /proc away; what it returns puts a command in front of `ps`."""
    folder, real = tmp_path / "bin", shutil.which("ps")
    folder.mkdir()
    monkeypatch.setattr(processes, "PROC", str(tmp_path))
    monkeypatch.delattr(os, "pidfd_open")
    monkeypatch.setattr("microscaling.utils.subreaper.set_to", lambda on: False)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def fail(way: str) -> None:
        monkeypatch.setattr(processes, "PS_S", 0.1 if way == HANGS else 60.0)
        new = folder / "new"
        new.write_text(f'#!/bin/sh\n{way}\nexec {real} "$@"\n')
        new.chmod(0o755)
        new.rename(folder / "ps")

    fail(WORKS)
    return fail


@pytest.mark.parametrize("way", [HANGS, REFUSES])
def test_a_process_that_cannot_be_seen_has_not_ended(make, fail, way):
    first = make()
    id = run(first)
    pid = pid_of(first, id)
    first.close()
    backend = make()
    assert states(backend) == {id: State.RUNNING}
    fail(way)
    for call in (
        backend.list,
        lambda: backend.watch(threading.Event().set, print),
        lambda: backend.stop(id, 60.0),
        lambda: backend.stop(id, 0.0),
        lambda: backend.remove(id),
    ):
        with pytest.raises(TemporaryError, match="cannot see which processes run"):
            call()
    fail(WORKS)
    assert states(backend) == {id: State.RUNNING}
    assert start_time(pid)
    backend.stop(id, 60.0)
    assert states(backend) == {id: State.EXITED}


@pytest.mark.parametrize("way", [HANGS, REFUSES])
def test_a_new_process_that_cannot_be_seen_is_no_second_one(make, fail, way, monkeypatch):
    backend = make()
    id = backend.create(SLEEP, "n")
    fail(way)
    with pytest.raises(TemporaryError, match="cannot see which processes run"):
        backend.start(id)
    assert states(backend) == {id: State.CREATED}
    monkeypatch.setattr(processes, "PROC", "/proc")
    assert marked(MARK, id) == []
    monkeypatch.undo()
    backend.start(id)
    assert states(backend) == {id: State.RUNNING}
    assert len(marked(MARK, id)) == 1


@pytest.mark.parametrize("way", [HANGS, REFUSES])
def test_an_agent_that_cannot_be_seen_is_judged_by_its_word(fail, way):
    since = start_time(os.getpid())
    fail(way)
    heartbeat = Heartbeat()
    assert may_live(os.getpid())
    assert Report(os.getpid(), since, "running", "fine", 100.0).problem(101.0) == ""
    fail(WORKS)
    unseen = Report(os.getpid(), heartbeat._started, "running", "fine", 100.0)
    assert unseen.problem(101.0) == ""
    assert "has ended" in Report(os.getpid(), "another", "running", "fine", 100.0).problem(101.0)
