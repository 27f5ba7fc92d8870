"""Drains that outlive the agent: the next one goes on with them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from microscaling.demand.drain import Busy, Drain, Way
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers import drain_file
from microscaling.scheduler.containers.drain_file import DrainFile, Kept
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.process.backend import ProcessBackend
from tests.scheduler.processes import wait_for

WORKER = """sh -c 'trap "echo quiet >>{0}/log" USR1; trap "exit 0" TERM
    touch "$MSS_BUSY_FILE"; echo up >>{0}/log
    while :; do sleep 0.05; done'"""


class Agent:
    """The scheduler of an agent, with one task on real processes."""

    def __init__(self, folder: Path, drain: Drain) -> None:
        self.task = Task("a", max_containers=2, max_delta=2, command=WORKER.format(folder))
        self.task.busy, self.task.drain = Busy(Way.FILE, f"{folder}/busy-{{number}}"), drain
        self.tasks = Tasks([self.task], 2)
        self.scheduler = ContainerScheduler(ProcessBackend(str(folder / "state")))
        self.scheduler.count_all_tasks(self.tasks)

    def decide(self, demand: int) -> None:
        with self.tasks:
            self.task.demand = demand
        self.scheduler.stop_start_tasks(self.tasks)

    def look(self) -> Task:
        self.scheduler.count_all_tasks(self.tasks)
        due = self.scheduler.next_retry()
        if due is not None and due <= time.monotonic():
            self.scheduler.stop_start_tasks(self.tasks)
        return self.task


@contextmanager
def agents(folder: Path) -> Iterator[list[Agent]]:
    made: list[Agent] = []
    try:
        yield made
    finally:
        for agent in made:
            agent.scheduler.cleanup()
        last = ProcessBackend(str(folder / "state"))
        for seen in last.list():
            last.remove(seen.id)
        last.close()


@pytest.mark.parametrize("resume", [False, True], ids=["cannot come back", "can come back"])
def test_the_next_agent_goes_on_with_a_drain(tmp_path: Path, resume: bool) -> None:
    drain = Drain("USR1", resume_signal="USR1" if resume else "")
    log = tmp_path / "log"
    log.touch()
    with agents(tmp_path) as made:
        made.append(first := Agent(tmp_path, drain))
        first.decide(2)
        wait_for(lambda: log.read_text().count("up") == 2 and first.look().running == 2)
        first.decide(1)
        wait_for(lambda: first.look().draining == 1 and "quiet" in log.read_text())
        first.scheduler.cleanup()

        made.append(second := Agent(tmp_path, drain))
        task = second.task
        assert (task.demand, task.requested, task.running, task.stopping) == (1, 1, 2, 1)
        second.decide(1)
        wait_for(lambda: second.look().draining == 1)
        assert log.read_text().count("quiet") == 1, "it was asked once"
        if resume:
            second.decide(2)
            wait_for(lambda: log.read_text().count("quiet") == 2)
            wait_for(lambda: (second.look().requested, second.task.stopping) == (2, 0))
            wait_for(lambda: json.loads((tmp_path / "state" / "drains.json").read_text()) == {})
            assert log.read_text().count("up") == 2
            return
        for file in tmp_path.glob("busy-*"):
            file.unlink()
        wait_for(lambda: second.look().running == 1)
        assert (task.requested, task.stopping) == (1, 0)


def test_its_time_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = DrainFile(str(tmp_path / "drains"))
    file.write({"x": Kept(90.0, True), "y": Kept(None, True)}, now=100.0)
    # Another run of the machine, so another monotonic clock.
    monkeypatch.setattr(drain_file, "boot_id", lambda: "another")
    kept = DrainFile(file.path).read(now=5000.0)
    assert kept["y"] == Kept(None, True)
    since = kept["x"].since
    assert since is not None
    assert 4980 < since <= 4990.01


def test_a_clock_that_is_set_forward_ends_no_drain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = DrainFile(str(tmp_path / "drains"))
    file.write({"x": Kept(90.0, True)}, now=100.0)
    next_year = time.time() + 365 * 86400
    monkeypatch.setattr(time, "time", lambda: next_year)
    assert DrainFile(file.path).read(now=110.0) == {"x": Kept(90.0, True)}
    monkeypatch.setattr(drain_file, "boot_id", lambda: "")
    assert DrainFile(file.path).read(now=110.0)["x"].since == 110.0 - 30 * 86400, "it cannot be known here"


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": {"since": "x", "quieted": true}}', "\0"])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "drains"
    path.write_text(content)
    assert DrainFile(str(path)).read(0.0) == {}
    assert len(caplog.messages) == 1
    assert f"{path}: the drains of the last agent cannot be read" in caplog.text


def test_a_clock_that_was_set(tmp_path: Path) -> None:
    path = tmp_path / "drains"
    path.write_text(json.dumps({"future": {"since": time.time() + 9e9, "quieted": False},
                                "past": {"since": -9e12, "quieted": False}}))  # fmt: skip
    kept = DrainFile(str(path)).read(100.0)
    assert kept["future"].since == 100.0
    assert kept["past"].since == 100.0 - 30 * 86400


def test_a_folder_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    file = DrainFile(str(tmp_path / "file" / "drains"))
    for since in (1.0, 2.0):
        file.write({"x": Kept(since, False)}, 3.0)
    [message] = caplog.messages
    assert message.startswith(f"MSS_STATE_DIR: {file.path} cannot be written (")


def test_an_old_file_that_cannot_be_replaced_is_removed(tmp_path: Path) -> None:
    """As on a full disk. What is frozen by now it calls paused by others, and without it nothing does."""
    file = DrainFile(str(tmp_path / "drains"))
    file.write({}, 1.0)
    (tmp_path / "drains.new").mkdir()
    file.write({"x": Kept(None, False, 1.0)}, 2.0)
    following = DrainFile(file.path)
    assert (following.read(3.0), following.found) == ({}, False)
    (tmp_path / "drains.new").rmdir()
    file.write({"x": Kept(None, False, 1.0)}, 4.0)
    assert following.read(5.0) == {"x": Kept(None, False, 1.0)}


def test_without_a_path_nothing_is_kept() -> None:
    file = DrainFile("")
    file.write({"x": Kept(1.0, False)}, 2.0)
    assert file.read(0.0) == {}
