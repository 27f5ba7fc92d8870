"""Events come once, when a state lasts, and once more when it is over."""

from __future__ import annotations

from microscaling.demand.history import note
from microscaling.demand.reason import UP, Reason
from microscaling.demand.shown import Failure
from microscaling.demand.task import NOT_YET, Task
from microscaling.demand.tasks import Tasks
from microscaling.watch.events import LASTS_S, USUAL, Event, Events
from microscaling.watch.warnings import News


class World:
    def __init__(self) -> None:
        self.task = Task("a")
        self.tasks = Tasks([self.task], 5)
        self.events = Events(self.tasks)
        self.now = 100.0

    def look(self, seconds: float = 1.0, news: tuple[News, ...] = ()) -> list[Event]:
        found = []
        for _ in range(round(seconds)):
            found += self.events.look(self.now, news)
            self.now += 1
        return found


def test_a_state_that_lasts_and_its_end() -> None:
    world = World()
    world.task.held = "redis://db: no answer"
    assert world.look(LASTS_S) == []
    assert world.look(1000) == [Event("held", "redis://db: no answer", "a", True)]
    world.task.held = ""
    assert world.look(LASTS_S) == []
    assert world.look(1000) == [Event("held", "it is measured again", "a", False)]


def test_one_that_comes_and_goes_is_none() -> None:
    world = World()
    found = []
    for _ in range(50):
        world.task.held = "no answer"
        found += world.look(LASTS_S / 2)
        world.task.held = ""
        found += world.look(2)
    assert found == []


def test_the_start_is_no_outage() -> None:
    world = World()
    world.task.held = NOT_YET
    assert world.look(100) == []


def test_what_is_told_at_once() -> None:
    world = World()
    world.task.backing_off, world.task.failure = True, Failure("exited with code 3", 1.0, 3)
    world.task.override = "paused by hand"
    assert world.look() == [
        Event("backoff", "exited with code 3", "a", True),
        Event("override", "paused by hand", "a", True),
    ]
    world.task.backing_off, world.task.override = False, ""
    assert {(e.kind, e.active) for e in world.look()} == {("backoff", False), ("override", False)}


def test_of_the_agent_itself() -> None:
    world = World()
    world.tasks.hold = "a second agent is at work"
    assert world.look(20) == [Event("hold", "a second agent is at work", "", True)]


def test_changes_of_demand_each_once() -> None:
    world = World()
    for count in range(3):
        note(world.task.history, count, count + 1, Reason(UP, count, count + 1, wants=1, free=2))
    found = world.look(3)
    assert [(e.kind, e.task, e.text.partition(" (")[0]) for e in found] == [
        ("scaled", "a", "0 -> 1"), ("scaled", "a", "1 -> 2"), ("scaled", "a", "2 -> 3"),
    ]  # fmt: skip
    for count in range(50):
        note(world.task.history, count, count + 1, None)
    assert len(world.look(3)) == 20, "no more are kept"


def test_those_from_before_it_looked_are_none() -> None:
    task = Task("a")
    note(task.history, 0, 1, None)
    assert Events(Tasks([task], 5)).look(1.0, []) == []


def test_warnings() -> None:
    world = World()
    assert world.look(news=(News("a", "short", "has had fewer"), News("a", "slow", "old", over=True))) == [
        Event("warning", "has had fewer", "a", True),
        Event("warning", "old", "a", False),
    ]


def test_the_usual_ones_are_in_the_settings() -> None:
    from microscaling.settings import variables

    assert f"Empty: {', '.join(USUAL)}" in variables()["MSS_NOTIFY_EVENTS"][1]
