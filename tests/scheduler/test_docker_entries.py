"""Single entries of what an engine says that cannot be read: they are skipped, and the rest counts."""

from __future__ import annotations

import random
from typing import Any

import pytest

from microscaling.demand.task import Task
from microscaling.demand.warm import Warm
from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.docker.body import LABEL, NONCE_LABEL
from microscaling.scheduler.docker.entries import Entries, healthy_of
from tests.scheduler.simulated_engine import Faults, SimulatedEngine, small_world

GOOD = {"Id": 64 * "a", "Labels": {LABEL: "web"}, "State": "running", "Created": 5}
ODD = [
    {**GOOD, "Id": 64 * "b", "Labels": {LABEL: ""}},
    {**GOOD, "Id": 64 * "b", "Labels": {LABEL: "  "}},
    {**GOOD, "Id": 64 * "b", "Labels": {LABEL: None}},
    {**GOOD, "Id": 64 * "b", "Labels": {LABEL: ["web"]}},
    {**GOOD, "Id": 64 * "b", "Labels": {}},
    {**GOOD, "Id": 64 * "b", "Labels": None},
    {**GOOD, "Id": 64 * "b", "Labels": "web"},
    {"Id": 64 * "b"},
]
NAMELESS = [{}, None, "x", [], {**GOOD, "Id": None}, {**GOOD, "Id": ""}, {**GOOD, "Id": 7}]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_one_that_cannot_be_read_is_named_once(odd: Any, caplog: pytest.LogCaptureFixture) -> None:
    entries = Entries()
    for _ in range(3):
        good, bad = sorted(entries.listed([odd, GOOD]), key=lambda seen: seen.id)
        assert (good.id, good.task, good.state) == (GOOD["Id"], "web", State.RUNNING)
        assert (bad.id, bad.task, bad.state) == (64 * "b", "", State.UNREAD)
    (line,) = caplog.messages
    assert "bbbbbbbbbbbb" in line


def test_it_is_no_less_skipped_if_it_is_alone(caplog: pytest.LogCaptureFixture) -> None:
    (seen,) = Entries().listed([ODD[0]])
    assert (seen.task, seen.state) == ("", State.UNREAD)
    assert 'its value "" names no task' in caplog.text
    assert "docker rm -f bbbbbbbbbbbb" in caplog.text


@pytest.mark.parametrize("odd", NAMELESS, ids=range(len(NAMELESS)))
def test_one_without_an_id_is_skipped_among_others(odd: Any, caplog: pytest.LogCaptureFixture) -> None:
    entries = Entries()
    for _ in range(3):
        assert [seen.id for seen in entries.listed([odd, GOOD])] == [GOOD["Id"], ""]
    assert caplog.messages == ["an entry of the engine's listing has no id: it is skipped"]


@pytest.mark.parametrize(
    ("names", "name"),
    [(["/shop-web-1", "/other/alias"], "shop-web-1"), ([], ""), (None, ""), ([7], ""), ("/x", "")],
)
def test_the_name_is_for_people_only(names: Any, name: str) -> None:
    (seen,) = Entries().listed([{**GOOD, "Names": names}])
    assert (seen.name, seen.state) == (name, State.RUNNING)


@pytest.mark.parametrize("answer", [None, {}, {"message": "x"}, "text", 3, [{}], [None, 1]])
def test_what_is_no_listing_at_all_is_no_empty_one(answer: Any) -> None:
    with pytest.raises(TypeError):
        Entries().listed(answer)


@pytest.mark.parametrize(
    ("state", "removing"), [("running", False), ("exited", False), ("removing", True), ("dead", True)]
)
def test_one_whose_removal_has_begun(state: str, removing: bool) -> None:
    seen = Entries().listed([{**GOOD, "State": state}])[0]
    assert seen.removing is removing
    assert (seen.state is State.EXITED) is (state != "running")


@pytest.mark.parametrize("created", [None, "yesterday", float("nan"), float("inf"), [], True])
def test_the_time_of_creation_only_orders(created: Any) -> None:
    seen = Entries().listed([{**GOOD, "Created": created}])[0]
    assert (seen.task, seen.state) == ("web", State.RUNNING)
    assert 0 <= seen.created < 2


EVENT = {
    "Action": "die",
    "Actor": {"ID": "c1", "Attributes": {LABEL: "web", NONCE_LABEL: "n", "exitCode": "3"}},
}


def test_an_event() -> None:
    assert Entries().event(EVENT) == Event("die", "c1", "web", "n", 3)


@pytest.mark.parametrize("code", [None, "", "x", "-1", 3, "9" * 30, []])
def test_an_exit_code_that_cannot_be_read_is_not_known(code: Any) -> None:
    event = {"Action": "die", "Actor": {"ID": "c1", "Attributes": {LABEL: "web", "exitCode": code}}}
    assert Entries().event(event) == Event("die", "c1", "web", "", None)


@pytest.mark.parametrize(
    ("given", "signal", "ends"),
    [("15", "TERM", True), ("9", "KILL", True), ("SIGQUIT", "QUIT", True), ("1", "HUP", True),
     ("38", "38", True), ("", "", True), (None, "", True), ("10", "USR1", True),
     ("18", "CONT", False), ("SIGCONT", "CONT", False), ("20", "TSTP", False), ("28", "WINCH", False)],
)  # fmt: skip
def test_the_end_after_a_signal_is_no_failure_unless_it_goes_on_with_it(
    given: str | None, signal: str, ends: bool
) -> None:
    """WINCH stops some servers, but is the go of this task."""
    attributes = {LABEL: "web", "signal": given}
    event = Entries().event({"Action": "kill", "Actor": {"ID": "c1", "Attributes": attributes}})
    assert event == Event("kill", "c1", "web", signal=signal)
    task = Task("web")
    task.warm = Warm(1, "/tmp/ready", signal="WINCH")
    assert event.asks_to_end(task) is ends
    task.warm = None
    assert event.asks_to_end(task) is (ends or signal == "WINCH")


@pytest.mark.parametrize(
    "event",
    [None, 1, "x", [], {}, {"Action": "die"}, {**EVENT, "Action": 1}, {**EVENT, "Actor": None},
     {**EVENT, "Actor": {"ID": "", "Attributes": {}}}, {**EVENT, "Actor": {"ID": "c1", "Attributes": None}}],
    ids=range(10),
)  # fmt: skip
def test_an_event_that_cannot_be_read_is_skipped(event: Any, caplog: pytest.LogCaptureFixture) -> None:
    entries = Entries()
    assert [entries.event(event), entries.event(event)] == [None, None]
    assert len(caplog.messages) == 1


# What becomes of it in a fleet


@pytest.fixture
def world() -> SimulatedEngine:
    world = small_world(random.Random(1), Faults(effect_s=0.02, reply_s=0.0, event_s=0.0), cap=2)
    world.list()
    world.run(1)
    world.decide({"a": 2})
    world.run(1)
    return world


@pytest.mark.parametrize("hidden", ["its id is known", "its id is not"])
def test_what_cannot_be_read_has_not_gone(world: SimulatedEngine, hidden: str) -> None:
    """Else another one would be started beside it."""
    before = set(world.real)
    assert len(before) == 2
    first, *rest = world.snapshot()
    bad = ListedContainer(first.id if hidden == "its id is known" else "", "", State.UNREAD, 0.0)
    for _ in range(3):
        world.listing.apply(world.listing.ask(), [bad, *rest], world.now)
        world.run(2)
    assert set(world.real) == before
    assert world.tasks.get_task("a").running == 2


def test_a_state_that_cannot_be_read_takes_a_place() -> None:
    world = small_world(random.Random(1), Faults(effect_s=0.02, reply_s=0.0, event_s=0.0), cap=2)
    there = world.add("a", State.RUNNING, "earlier-1")
    seen = ListedContainer(there.id, "a", State.UNREAD, 0.0, "earlier-1")
    world.listing.apply(world.listing.ask(), [seen], world.now)
    assert world.tasks.get_task("a").running == 1
    world.listing.apply(world.listing.ask(), [seen], world.now + 5)
    assert not world.tasks.hold


@pytest.mark.parametrize(
    ("status", "healthy"),
    [
        ("Up 4 seconds", None),
        ("Up 4 seconds (health: starting)", False),
        ("Up 4 seconds (unhealthy)", False),
        ("Up 4 seconds (healthy)", True),
        ("Up 4 seconds (Paused)", None),
        ("", None),
    ],
)
def test_health(status: str, healthy: bool | None) -> None:
    assert healthy_of(status) is healthy
