"""Local processes that are stopped and continued in place of being ended."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from microscaling.demand.frozen import Yielding
from microscaling.demand.task import Task
from microscaling.scheduler.containers.backend import ListedContainer, State
from microscaling.scheduler.process.backend import ProcessBackend
from microscaling.utils.process import snapshot

COUNTS = """
import os, pathlib, subprocess, sys, time
if os.fork() == 0:
    os.execvp("sleep", ["sleep", "600"])
while True:
    with open(sys.argv[1], "a") as file:
        file.write(".")
    time.sleep(0.01)
"""


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[ProcessBackend]:
    found = ProcessBackend(str(tmp_path / "state"))
    yield found
    for seen in found.list():
        found.remove(seen.id)
    found.close()


def task(tmp_path: Path, yields: bool = True) -> Task:
    (tmp_path / "counts.py").write_text(COUNTS)
    command = f"{sys.executable} {tmp_path / 'counts.py'} {tmp_path / 'count'}"
    return Task("a", command=command, max_containers=2, yielding=Yielding(2) if yields else None)


def started(backend: ProcessBackend, task: Task) -> str:
    backend.prepare(task)
    id = backend.create(task, "n1")
    backend.start(id)
    return id


def wait_for(what: object, patience_s: float = 30.0) -> None:
    deadline = time.monotonic() + patience_s
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def of(backend: ProcessBackend, id: str) -> ListedContainer:
    return next(seen for seen in backend.list() if seen.id == id)


def test_its_whole_group_is_frozen_and_goes_on(backend: ProcessBackend, tmp_path: Path) -> None:
    id, count = started(backend, task(tmp_path)), tmp_path / "count"
    wait_for(lambda: count.exists() and count.stat().st_size)
    group = backend._get(id).handle.pid  # type: ignore[union-attr]
    wait_for(lambda: sum(row.group == group for row in snapshot().values()) == 2)
    backend.freeze(id)
    assert of(backend, id).paused
    wait_for(lambda: all(row.stopped for row in snapshot().values() if row.group == group))
    size = count.stat().st_size
    time.sleep(0.1)
    assert count.stat().st_size == size
    backend.freeze(id)
    backend.thaw(id)
    assert not of(backend, id).paused
    wait_for(lambda: count.stat().st_size > size)


def test_a_shell_that_starts_programs_all_the_time(backend: ProcessBackend, tmp_path: Path) -> None:
    """One that is stopped in a moment at which it waits for the exec of a child does not show as stopped."""
    loop = task(tmp_path)
    loop.command = "sh -c 'while :; do /bin/true; done'"
    id = started(backend, loop)
    for _ in range(40):
        backend.freeze(id)
        assert of(backend, id).paused
        backend.thaw(id)


def test_a_frozen_one_can_be_removed(backend: ProcessBackend, tmp_path: Path) -> None:
    id = started(backend, task(tmp_path))
    backend.freeze(id)
    backend.remove(id)
    assert backend.list() == []


def test_the_next_agent_finds_it_frozen(tmp_path: Path) -> None:
    first = ProcessBackend(str(tmp_path / "state"))
    id = started(first, task(tmp_path))
    first.freeze(id)
    first.close()
    second = ProcessBackend(str(tmp_path / "state"))
    try:
        second.prepare(task(tmp_path))
        seen = of(second, id)
        assert (seen.state, seen.paused) == (State.RUNNING, True)
        second.thaw(id)
        assert not of(second, id).paused
    finally:
        second.remove(id)
        second.close()


def test_of_other_tasks_a_stop_is_nobodys_business(backend: ProcessBackend, tmp_path: Path) -> None:
    id = started(backend, task(tmp_path, yields=False))
    backend.signal(id, signal.SIGSTOP.name.removeprefix("SIG"))
    wait_for(lambda: backend._get(id).is_stopped())  # type: ignore[union-attr]
    assert not of(backend, id).paused
