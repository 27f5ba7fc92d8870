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
from microscaling.scheduler.process import unit
from microscaling.scheduler.process.backend import ProcessBackend
from microscaling.scheduler.process.unit import Unit
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


LATE = """
# Its child has the lowest claim to the processor that it shares with another one, which is always busy.
import os, sys, time
if os.fork() == 0:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    mine = os.getpid()
    busy = os.fork()
    if busy == 0:
        os.setsid()
        while os.getppid() == mine:
            pass
        os._exit(0)
    while os.getpgid(busy) == os.getpgid(0):  # until then it is frozen with the others
        time.sleep(0.001)
    os.nice(10)
    open(sys.argv[1], "w").close()
    while True:
        time.sleep(0.001)
while True:
    time.sleep(1)
"""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer than the agent until it has stopped a process."""
    monkeypatch.setattr(unit, "FREEZE_S", 60.0)


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


def wait_for(what: object, patience_s: float = 60.0) -> None:
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


def test_it_is_frozen_only_when_the_last_of_its_group_has_stopped(
    backend: ProcessBackend, tmp_path: Path
) -> None:
    """Else the next one would have its place while a part of it still runs."""
    late, up = task(tmp_path), tmp_path / "up"
    (tmp_path / "late.py").write_text(LATE)
    late.command = f"{sys.executable} {tmp_path / 'late.py'} {up}"
    id = started(backend, late)
    wait_for(up.exists)
    for _ in range(5):
        backend.freeze(id)
        group = backend._get(id).handle.pid  # type: ignore[union-attr]
        assert [row.stopped for row in snapshot().values() if row.group == group] == [True] * 2
        backend.thaw(id)


def test_of_an_agent_that_is_killed_while_it_freezes_no_part_goes_on(
    backend: ProcessBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, count = started(backend, task(tmp_path)), tmp_path / "count"
    wait_for(lambda: count.exists() and count.stat().st_size)
    group = backend._get(id).handle.pid  # type: ignore[union-attr]
    with monkeypatch.context() as killed:
        killed.setattr(Unit, "is_stopped", dies)
        with pytest.raises(InterruptedError):
            backend.freeze(id)
    wait_for(lambda: [row.stopped for row in snapshot().values() if row.group == group] == [True] * 2)


def dies(_: object) -> bool:
    raise InterruptedError


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


def test_one_that_is_stopped_has_its_grace(backend: ProcessBackend, tmp_path: Path) -> None:
    """Such as an orphan, which an earlier agent has frozen."""
    ends = tmp_path / "ends"
    script = f'trap "touch {ends}; exit" TERM; touch {tmp_path}/up; while :; do sleep 0.05; done'
    id = started(backend, Task("a", command=f"sh -c '{script}'", max_containers=1, yielding=Yielding(1)))
    wait_for((tmp_path / "up").exists)
    backend.freeze(id)
    backend.stop(id, 60.0)
    assert ends.exists()


def test_of_other_tasks_a_stop_is_nobodys_business(backend: ProcessBackend, tmp_path: Path) -> None:
    id = started(backend, task(tmp_path, yields=False))
    backend.signal(id, signal.SIGSTOP.name.removeprefix("SIG"))
    wait_for(lambda: backend._get(id).is_stopped())  # type: ignore[union-attr]
    assert not of(backend, id).paused
