"""Processes of tasks that are no more: real ones, left by an agent of another configuration."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator

import pytest

from microscaling.api.agent_report import agent_detail
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers import orphans
from microscaling.scheduler.containers.backend import ListedContainer, Origin, State
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.containers.orphans import Orphans
from tests.contract.schedulers import CAP, Process, Run, wait_for


class Case(Process):
    """Two tasks, and a third one that an earlier configuration had."""

    stops = False

    def scheduler(self) -> ContainerScheduler:
        return ContainerScheduler(self._backend(), stop_orphans=self.stops)

    def leave_orphans(self, count: int) -> None:
        backend = self._backend()
        task = self.task("b")
        task.name = "old"
        for number in range(count):
            backend.start(backend.create(task, f"before-{number}"))
        backend.close()

    def look(self) -> dict[str, int]:
        """The orphans have the command of `b`."""
        found = super().look()
        return {"a": found["a"], "b": found["b"]}


@pytest.fixture
def case(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Case]:
    caplog.set_level(logging.INFO)
    made = Case(request)
    yield made
    made.close()


def test_they_stay_and_count_under_the_cap(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    case.leave_orphans(4)
    with Run(case) as run:
        run.demand(a=CAP, b=0)
        wait_for(lambda: case.look() == {"a": CAP - 4, "b": 4}, "for a to have what is left")
        with run.tasks as tasks:
            told = agent_detail(tasks, "n", "LOCAL")
        assert told["cap"] == CAP
        assert '4 of "old"' in told["orphans"]
        assert "they take 4 of the 10 places under the cap" in caplog.text
        (command,) = re.findall(r"meanwhile; `kill (.*?)` ends them", caplog.text)
        pids = [int(pid) for pid in command.split()]
        assert sorted(pids) == sorted(case._pids("b"))
        for pid in pids:
            os.kill(pid, 15)
        wait_for(lambda: case.look() == {"a": CAP, "b": 0}, "for a to have all of it")
        with run.tasks as tasks:
            assert (tasks.outside, tasks.orphans) == (0, "")
    assert case.most() == CAP
    assert caplog.text.count('of the task "old"') == 1


def test_they_are_stopped_if_asked_for(
    case: Case, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "PATIENCE_S", 0.0)
    case.stops = True
    case.leave_orphans(CAP)
    with Run(case) as run:
        run.tasks.noun = "process"
        run.begun()
        assert case.look() == {"a": 0, "b": CAP}, "nothing is touched before the first decision"
        run.demand(a=CAP, b=0)
        wait_for(lambda: case.look() == {"a": CAP, "b": 0}, "for a to have all of it")
    assert case.most() == CAP
    assert len(re.findall(r'"old": process \w+ of an earlier configuration is stopped', caplog.text)) == CAP


class Origins:
    """A backend that knows what the test says of who made what."""

    def __init__(self, *origins: Origin) -> None:
        self.all = origins
        self.ended: list[str] = []

    def origins(self, seen: list[ListedContainer]) -> list[Origin]:
        return [self.all[int(one.id)] for one in seen]

    def end_command(self, task: str, seen: list[ListedContainer]) -> str:
        return f"end {task}"

    def stop(self, id: str, grace_s: float) -> None:
        self.ended.append(id)

    def remove(self, id: str) -> None:
        pass


@pytest.mark.parametrize(
    ("origin", "counts", "stops"),
    [
        (Origin.EARLIER, True, True),
        (Origin.UNSURE, True, False),
        (Origin.UNSIGNED, True, False),
        (Origin.ENDED, False, False),
        (Origin.OTHER, False, False),
        (Origin.LIVES, False, False),
    ],
)
def test_whose_count_and_whose_are_stopped(origin: Origin, counts: bool, stops: bool) -> None:
    backend, tasks = Origins(origin), Tasks([], 5)
    kept = Orphans(backend, tasks, stop=True)  # type: ignore[arg-type]
    seen = [ListedContainer("0", "old", State.RUNNING, 0.0)]
    for now in (0.0, orphans.PATIENCE_S - 1, orphans.PATIENCE_S):
        kept.apply(kept.look(seen), True, now)
    kept.pool.stop(60)
    assert (tasks.outside, tasks.max_containers) == ((1, 4) if counts else (0, 5))
    assert backend.ended == (["0"] if stops else [])


def test_what_does_not_run_takes_no_place() -> None:
    backend, tasks = Origins(Origin.EARLIER, Origin.EARLIER, Origin.EARLIER), Tasks([], 5)
    kept = Orphans(backend, tasks, stop=False)  # type: ignore[arg-type]
    states = [State.CREATED, State.EXITED, State.UNREAD]
    kept.apply(
        kept.look([ListedContainer(str(n), "old", state, 0.0) for n, state in enumerate(states)]), True, 0.0
    )
    assert tasks.outside == 1, "one of which nobody knows may run"


def test_what_is_still_being_ended_does_not_count_twice() -> None:
    backend, tasks = Origins(Origin.EARLIER, Origin.EARLIER), Tasks([], 5)
    kept = Orphans(backend, tasks, stop=False)  # type: ignore[arg-type]
    seen = kept.look([ListedContainer(str(n), "old", State.RUNNING, 0.0) for n in range(2)])
    kept.apply(seen, True, 0.0, known={"0"})
    assert tasks.outside == 1
    kept.apply(seen, True, 0.0, known={"0", "1"})
    assert (tasks.outside, tasks.orphans) == (0, "")


def test_more_than_the_cap_leave_no_place() -> None:
    backend, tasks = Origins(*[Origin.EARLIER] * 9), Tasks([], 5)
    kept = Orphans(backend, tasks, stop=False)  # type: ignore[arg-type]
    kept.apply(kept.look([ListedContainer(str(n), "old", State.RUNNING, 0.0) for n in range(9)]), True, 0.0)
    assert tasks.max_containers == 0
    for n in range(9):
        kept.gone(str(n))
    assert tasks.max_containers == 5


def test_a_name_cannot_pass_for_something_else(caplog: pytest.LogCaptureFixture) -> None:
    backend, tasks = Origins(Origin.EARLIER), Tasks([], 5)
    kept = Orphans(backend, tasks, stop=False)  # type: ignore[arg-type]
    kept.apply(kept.look([ListedContainer("0", "old\nERROR x", State.RUNNING, 0.0)]), True, 0.0)
    assert all("\n" not in line for line in [*caplog.messages, tasks.orphans])
