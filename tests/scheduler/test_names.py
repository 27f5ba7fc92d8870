"""Containers that are found by name: when they get it, and when they lose it. In virtual time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from microscaling.demand.drain import Drain
from microscaling.demand.task import Task
from microscaling.demand.web import Web
from microscaling.errors import NotReady, PermanentError
from microscaling.scheduler.containers.backend import Unsafe
from microscaling.scheduler.containers.container import Operation, Work
from microscaling.scheduler.containers.views import views
from tests.scheduler.busy_engine import BusyEngine, World
from tests.scheduler.simulated_engine import Reply

READY_S = 2.0


@dataclass
class Name:
    """The name of one container."""

    listed: bool = False
    since: float = 0.0


class Named(BusyEngine):
    """An engine with names. Containers are ready two seconds after their start."""

    def __init__(self, *args: object, **more: object) -> None:
        self.names: dict[str, Name] = {}
        self.asked: list[tuple[str, str]] = []
        """Each call about a name, with the id."""
        self.stopped_with_name: list[str] = []
        self.unlisted_s: dict[str, float] = {}
        """By id, the seconds between the loss of the name and the stop."""
        self.unsafe: set[str] = set()
        self.deaf: set[str] = set()
        """Ids whose names cannot be changed."""
        super().__init__(*args, **more)  # type: ignore[arg-type]

    def carry_out(self, operation: Operation, reply: Reply, by: object = None) -> None:
        id = operation.container.id
        if operation.work in (Work.LIST, Work.UNLIST):
            self.asked.append((operation.work.name, id))
            self.at(0.1, self._rename, operation, reply)
            return
        name = self.names.setdefault(id, Name()) if id else Name()
        if operation.work is Work.STOP and name.listed:
            self.stopped_with_name.append(id)
        elif operation.work is Work.STOP and name.since:
            self.unlisted_s[id] = self.now - name.since
        super().carry_out(operation, reply, by)

    def _rename(self, operation: Operation, reply: Reply) -> None:
        container, lists = operation.container, operation.work is Work.LIST
        name = self.names.setdefault(container.id, Name())
        up_s = self.now - (container.started if container.started is not None else 0.0)
        error: Exception | None = None
        if container.id in self.deaf:
            error = PermanentError("no route to the network")
        elif lists and not name.listed and up_s < READY_S:
            error = NotReady("it does not listen")
        elif container.id in self.unsafe and not (lists and name.listed):
            error = Unsafe("10.0.0.3 is free")
        else:
            name.listed, name.since = lists, self.now
        reply(operation, error, "")


class NamedWorld(World):
    engine: Named

    def __init__(self, *tasks: Task, cap: int = 8) -> None:
        import tests.scheduler.busy_engine as module

        usual, module.BusyEngine = module.BusyEngine, Named  # type: ignore[misc]
        try:
            super().__init__(cap, *tasks)
        finally:
            module.BusyEngine = usual  # type: ignore[misc]

    def listed(self) -> list[str]:
        return [real.id for real in self.running() if self.engine.names[real.id].listed]

    def addresses(self, *numbers: int) -> None:
        """Gives those that run, the oldest first, these addresses."""
        for real, number in zip(self.running(), numbers, strict=True):
            self.engine.reconciler.by_id[real.id].address = number


def task(name: str = "a", priority: int = 1, web: Web | None = None) -> Task:
    made = Task(name, priority=priority, max_containers=8, max_delta=8)
    made.web = web or Web()
    return made


def world(*tasks: Task, cap: int = 8, **demand: int) -> NamedWorld:
    found = NamedWorld(*tasks, cap=cap)
    found.decide(**demand)
    found.run(5)
    return found


def test_a_container_is_listed_once_it_is_ready() -> None:
    of = NamedWorld(task())
    of.decide(a=2)
    of.run(1.5)
    assert len(of.running()) == 2
    assert of.listed() == []
    shown = views(of.engine.reconciler, "a", of.engine.now)
    assert [view.state for view in shown] == ["not listed yet"] * 2
    of.run(3)
    assert len(of.listed()) == 2


def test_it_is_unlisted_for_some_seconds_before_it_stops_and_keeps_its_place() -> None:
    of = world(task(web=Web(unlist_s=4.0)), task("b", 2, Web()), cap=4, a=4)
    assert len(of.listed()) == 4
    of.decide(a=2, b=2)
    of.run(2)
    a, b = of.tasks.tasks
    assert (len(of.running("a")), len(of.listed())) == (4, 2)
    assert (a.requested, a.running, a.draining, b.running) == (2, 4, 2, 0)
    of.run(8)
    assert (len(of.running("a")), len(of.running("b"))) == (2, 2)
    assert of.engine.stopped_with_name == []
    assert sorted(of.engine.unlisted_s.values()) == pytest.approx([4.0, 4.0], abs=0.3)


def test_one_that_is_wanted_again_is_listed_again_and_none_is_started() -> None:
    of = world(task(), a=3)
    before = of.running()
    of.decide(a=1)
    of.run(2)
    assert len(of.listed()) == 1
    of.decide(a=3)
    of.run(8)
    assert of.running() == before
    assert len(of.listed()) == 3


def test_one_that_has_no_name_yet_goes_first_and_at_once() -> None:
    of = world(task(), a=2)
    before = of.running()
    of.decide(a=3)
    of.run(1)
    of.decide(a=2)
    of.run(2)
    assert of.running() == before
    assert [what for what, _ in of.engine.asked if what == "UNLIST"] == []


def test_the_highest_address_goes_first() -> None:
    of = world(task(), a=4)
    of.addresses(12, 40, 15, 13)
    second = of.running()[1]
    of.decide(a=3)
    of.run(1)
    assert of.engine.asked[-1] == ("UNLIST", second.id)


def test_another_one_goes_in_place_of_one_whose_address_would_change() -> None:
    of = world(task(), a=3)
    of.addresses(2, 3, 9)
    low, _, high = of.running()
    of.engine.unsafe = {high.id}
    of.decide(a=2)
    of.run(9)
    assert high in of.running()
    assert low in of.running()
    assert len(of.running()) == 2
    assert of.engine.stopped_with_name == []


def test_without_another_one_it_stops_with_its_name_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    of = world(task(), a=2)
    of.engine.unsafe = {real.id for real in of.running()}
    of.decide(a=1)
    of.run(3)
    assert len(of.running()) == 1
    assert len(of.engine.stopped_with_name) == 1
    assert "is stopped without being unlisted, as 10.0.0.3 is free" in caplog.text


def test_a_name_that_cannot_be_taken_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    of = world(task(), a=2)
    of.engine.deaf = {real.id for real in of.running()}
    of.decide(a=1)
    of.run(5)
    assert len(of.running()) == 1
    assert caplog.text.count("cannot be unlisted: no route to the network") == 1
    assert caplog.text.count("is stopped without being unlisted") == 1


def test_what_others_have_made_is_unlisted_last_of_all() -> None:
    of = world(task(), a=3)
    original = of.running()[2]
    of.addresses(5, 6, 90)
    of.engine.reconciler.is_others = lambda id: id == original.id
    of.decide(a=1)
    of.run(8)
    assert of.running() == [original]
    assert of.listed() == [original.id]
    of.decide(a=0)
    of.run(2)
    assert of.listed() == []
    of.run(6)
    assert of.running() == []
    assert of.engine.stopped_with_name == []


def test_at_the_end_of_the_agent_what_others_have_made_gets_its_name_back() -> None:
    of = world(task(), a=1)
    (original,) = of.running()
    of.engine.reconciler.is_others = lambda id: True
    of.decide(a=0)
    of.run(2)
    assert of.listed() == []
    of.engine.reconciler.leave()
    of.run(2)
    assert of.listed() == [original.id]


def test_a_quiet_signal_and_the_time_for_jobs_come_after_the_name_is_gone() -> None:
    of = NamedWorld(task())
    of.tasks.tasks[0].drain = Drain("TSTP", seconds=3.0)
    of.decide(a=2)
    of.run(6)
    of.decide(a=1)
    of.run(4)
    (unlisted,) = (real for real in of.running() if real.id not in of.listed())
    assert of.engine.worker(unlisted.id).heard == []
    of.run(3)
    assert of.engine.worker(unlisted.id).heard == ["QUIET"]
    assert len(of.running()) == 2
    of.run(4)
    assert len(of.running()) == 1


def test_without_web_no_name_is_ever_asked_for() -> None:
    plain = task()
    plain.web = None
    of = world(plain, a=4)
    for count in (1, 3, 0):
        of.decide(a=count)
        of.run(5)
        assert len(of.running()) == count
    assert of.engine.asked == []
