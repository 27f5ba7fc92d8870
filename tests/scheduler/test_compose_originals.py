"""How the containers of services stand, by listings, events and our own calls: pure, but for its lock."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from microscaling.clients.docker.compose import COPY_OF, NUMBER
from microscaling.scheduler.compose.known import BEGINS_S, Found, Policy, State
from microscaling.scheduler.compose.originals import Originals
from microscaling.scheduler.compose.own_stops import OwnStops

TERM, KILL, HUP = "15", "9", "1"
TASKS = frozenset({"web"})


def labels(number: int, copy: bool = False, config: str = "h", image: str = "") -> dict[str, str]:
    of = "com.docker.compose."
    return {
        NUMBER: str(number), f"{of}config-hash": config, **({COPY_OF: "o1"} if copy else {}),
        **({f"{of}image": image} if image else {}),
    }  # fmt: skip


class World:
    """One service, web, with an original o1 that runs, and a copy c2 of it."""

    def __init__(self, *ours: str, **found: Found) -> None:
        self.originals = Originals(ours)
        self.found = {
            "o1": Found("web", labels(1), State.RUNNING),
            "c2": Found("web", labels(2, copy=True), State.RUNNING),
            **found,
        }
        self.originals.policies["web"] = Policy()
        self.list()

    def list(self, asked_at: float = 100.0, **found: Found) -> None:
        self.found |= found
        self.originals.listed(self.found, self.originals.ask(asked_at), TASKS)

    def event(self, id: str, kind: str, detail: str = "", now: float = 0.0, mine: bool = False) -> bool:
        """Returns whether somebody else has caused it."""
        made_from = labels(int(id[1:]), copy=id[0] == "c")
        return self.originals.event(id, kind, "web", made_from, detail, now, mine).foreign

    def user_stops(self, id: str, now: float = 0.0) -> None:
        self.event(id, "kill", TERM, now)
        self.event(id, "die", "0", now + 0.1)


def test_copies_go_before_originals_and_the_highest_number_first() -> None:
    world = World(o3=Found("web", labels(3), State.RUNNING), c9=Found("web", labels(9, True), State.RUNNING))
    ids = sorted(["o1", "c2", "o3", "c9"], key=lambda id: world.originals.rank(id) or 0)
    assert ids == ["o1", "o3", "c2", "c9"]


def test_the_lowest_number_of_composes_own() -> None:
    """Copies have higher ones, as `up` keeps the lowest."""
    world = World(o7=Found("web", labels(7), State.EXITED, 0))
    assert world.originals.lowest("web") == 1
    world.event("o1", "destroy")
    assert world.originals.lowest("web") == 7
    assert world.originals.lowest("other") == 0


def test_copies_are_never_copied() -> None:
    world = World()
    assert world.originals.models("web", 0.0) == ["o1"]
    world.event("o1", "destroy")
    assert world.originals.models("web", 0.0) == []
    assert world.originals.resting(0.0) == {"web"}


def test_one_that_was_asked_to_end_is_no_model_until_it_starts_again() -> None:
    world = World()
    assert world.event("o1", "kill", TERM, now=1.0)
    assert world.originals.models("web", 1.0) == []
    assert world.originals.resting(1.0) == {"web"}
    world.event("o1", "die", "0", now=1.5)
    assert world.originals.resting(100.0) == {"web"}
    assert world.event("o1", "start", now=200.0)
    assert world.originals.resting(200.0) == set()


def test_one_that_heeds_no_signal_is_well_again_after_its_grace() -> None:
    world = World()
    world.event("o1", "kill", TERM, now=1.0)
    assert world.originals.models("web", 12.9) == []
    assert world.originals.models("web", 13.0) == ["o1"]


def test_other_signals_are_no_stop() -> None:
    world = World()
    world.event("o1", "kill", HUP)
    assert world.originals.models("web", 0.0) == ["o1"]


def test_a_kill_is_a_stop() -> None:
    """As for the engine, which does not follow a restart policy after it."""
    world = World()
    world.event("o1", "kill", KILL)
    world.event("o1", "die", "137", 0.1)
    assert world.originals.resting(1.0) == {"web"}


def test_a_stop_of_all_that_run_means_what_we_have_stopped_too() -> None:
    world = World("o2", o2=Found("web", labels(2), State.EXITED, 143))
    assert world.originals.ours == ["o2"]
    world.user_stops("o1")
    assert world.originals.resting(1.0) == {"web"}
    world = World(
        "o2", o2=Found("web", labels(2), State.EXITED, 143), o3=Found("web", labels(3), State.RUNNING)
    )
    world.user_stops("o1")
    assert world.originals.ours == ["o2"], "o3 runs on"


def test_a_stop_means_those_as_well_that_ended_by_themselves() -> None:
    world = World(o2=Found("web", labels(2), State.RUNNING))
    world.event("o2", "die", "3")
    world.originals.give_back("o2")
    world.user_stops("o1", now=1.0)
    assert world.originals.resting(2.0) == {"web"}
    assert world.originals.lend("web", "n1") == ""


class Shop(World):
    """Also a service, batch, whose only container the agent has stopped, or is about to stop."""

    def __init__(self, state: State = State.EXITED) -> None:
        super().__init__("b1", b1=Found("batch", labels(1), state, 143))
        self.originals.policies["batch"] = Policy()


def test_a_stop_of_the_whole_project_means_the_services_that_we_have_scaled_to_none() -> None:
    """Of which there is no event: those of a service without a task tell."""
    shop = Shop()
    shop.user_stops("o1", now=1.0)
    assert shop.originals.resting(2.0) == {"web"}, "the person may mean web alone"
    shop.originals.bystander("", "kill", TERM, 3.0)
    assert shop.originals.resting(3.0) == {"web", "batch"}
    shop = Shop()
    shop.originals.bystander("", "kill", TERM, 1.0)
    assert shop.originals.resting(1.0) == set(), "web runs on"
    shop.user_stops("o1", now=3.0)
    assert shop.originals.resting(3.0) == {"web", "batch"}, "in the other order"


def test_a_stop_of_the_whole_project_that_nobody_saw() -> None:
    shop = Shop()
    shop.list(o1=Found("web", labels(1), State.EXITED, 143))
    assert shop.originals.resting(2.0) == {"web"}
    shop.originals.stopped_unseen("another", 2.0)
    assert shop.originals.resting(2.0) == {"web"}
    shop.originals.stopped_unseen("", 2.0)
    assert shop.originals.resting(2.0) == {"web", "batch"}
    assert shop.originals.ours == []
    shop.originals.event("b1", "start", "batch", labels(1), "", 3.0, mine=False)
    assert shop.originals.resting(3.0) == {"web"}, "somebody has started it"


@pytest.mark.parametrize(("after_s", "rests"), [(5.0, {"web"}), (40.0, {"web", "batch"})])
@pytest.mark.parametrize("by", ["task", "bystander"])
def test_what_comes_up_with_its_engine_was_not_stopped(by: str, after_s: float, rests: set[str]) -> None:
    """An agent may be the first that a machine has started again."""
    shop = Shop()
    shop.list(o1=Found("web", labels(1), State.EXITED, 143), o2=Found("web", labels(2), State.EXITED, 143))
    shop.originals.stopped_unseen("", 2.0)
    if by == "bystander":
        shop.originals.bystander("", "start", "", 2.0 + after_s)
        assert shop.originals.resting(60.0) == rests
    else:
        shop.originals.policies["web"] = Policy(restart="always")
        shop.event("o2", "start", now=2.0 + after_s)
        assert shop.originals.resting(60.0) == rests - {"web"}
    assert shop.originals.ours == (["b1"] if "batch" not in rests else [])


def test_one_that_its_engine_does_not_start_was_started_by_a_person() -> None:
    shop = Shop()
    shop.list(o1=Found("web", labels(1), State.EXITED, 143))
    shop.originals.stopped_unseen("", 2.0)
    shop.event("o1", "start", now=3.0)
    assert shop.originals.resting(3.0) == {"batch"}


@pytest.mark.parametrize("event", [("p", "kill", TERM), ("", "kill", HUP), ("", "create", "")])
def test_other_events_of_such_services_mean_nothing(event: tuple[str, str, str]) -> None:
    shop = Shop()
    shop.originals.bystander(*event, 1.0)
    shop.user_stops("o1", now=3.0)
    assert shop.originals.resting(3.0) == {"web"}


def test_a_service_without_a_task_that_was_restarted_means_nothing() -> None:
    shop = Shop()
    shop.originals.bystander("", "kill", TERM, 1.0)
    shop.originals.bystander("", "start", "", 1.2)
    shop.user_stops("o1", now=3.0)
    assert shop.originals.resting(3.0) == {"web"}


def test_one_that_we_are_stopping_while_the_project_is_stopped_stays_stopped() -> None:
    shop = Shop(State.RUNNING)
    shop.originals.begins("b1", "stop", 1.0)
    shop.originals.event("b1", "kill", "batch", labels(1), TERM, 1.0, mine=False)
    shop.user_stops("o1", now=1.5)
    assert shop.originals.resting(1.5) == {"web"}, "batch runs"
    shop.originals.event("b1", "die", "batch", labels(1), "0", 1.6, mine=False)
    shop.originals.bystander("", "kill", TERM, 2.0)
    assert shop.originals.resting(2.0) == {"web", "batch"}


def test_a_listing_that_is_older_than_an_event_brings_nothing_back() -> None:
    world = World()
    asked = world.originals.ask(100.0)
    world.user_stops("o1")
    world.event("c2", "destroy")
    world.originals.listed(world.found, asked, TASKS)
    assert world.originals.resting(1.0) == {"web"}
    assert world.originals.rank("c2") is None
    asked = world.originals.ask(100.0)
    world.event("o1", "destroy")
    world.originals.listed(world.found, asked, TASKS)
    assert world.originals.rank("o1") is None


def test_a_listing_that_does_not_show_an_end_yet_brings_nothing_back() -> None:
    world = World()
    world.user_stops("o1", now=50.0)
    world.list(asked_at=51.0)
    assert world.originals.resting(51.0) == {"web"}
    world.event("o1", "start", now=51.5)
    assert world.originals.resting(51.5) == set()
    world.user_stops("o1", now=52.0)
    world.list(asked_at=60.0)  # its start event was lost
    assert world.originals.resting(60.0) == set()


def test_what_is_listed_after_an_outage_has_come_up_with_the_engine() -> None:
    world = World()
    world.user_stops("o1", now=50.0)
    world.originals.outage()
    world.list(asked_at=51.0)
    assert world.originals.resting(51.0) == set()


def test_what_came_since_a_listing_was_asked_for_stays() -> None:
    world = World()
    asked = world.originals.ask(100.0)
    world.event("o7", "create")
    world.originals.listed(world.found, asked, TASKS)
    assert world.originals.is_original("o7")
    world.list()
    assert not world.originals.is_original("o7")


@pytest.mark.parametrize(("code", "rests"), [(143, True), (3, False)])
def test_an_end_without_an_event_is_held_if_it_may_have_been_a_stop(code: int, rests: bool) -> None:
    world = World()
    world.list(o1=Found("web", labels(1), State.EXITED, code))
    assert (world.originals.resting(0.0) == {"web"}) is rests
    world.event("o1", "die", str(code))
    assert world.originals.resting(0.0) == set(), "late, and without a signal before it"


def test_a_service_that_is_paused_is_left_alone() -> None:
    world = World()
    world.event("o1", "pause")
    assert world.originals.frozen(0.0) == {"web"}
    assert world.originals.resting(0.0) == set()
    assert world.originals.models("web", 0.0) == []
    world.event("o1", "unpause")
    assert world.originals.frozen(0.0) == set()
    world.list(o1=Found("web", labels(1), State.PAUSED))
    assert world.originals.frozen(0.0) == {"web"}
    world.list(o3=Found("web", labels(3), State.RUNNING))
    assert world.originals.frozen(0.0) == set(), "another one is at work"


def test_one_that_ends_by_itself_is_ours_to_start() -> None:
    world = World()
    assert not world.event("o1", "die", "3"), "Compose has done nothing"
    assert world.originals.resting(0.0) == set()
    world.originals.give_back("o1")
    assert world.originals.lend("web", "n1") == "o1"
    assert world.originals.lent("o1") == "n1"
    assert world.originals.lend("web", "n2") == "", "it stands for one"


def test_one_that_somebody_stopped_is_not() -> None:
    world = World()
    world.user_stops("o1")
    world.originals.give_back("o1")
    assert world.originals.lend("web", "n1") == ""
    world.list(o1=Found("web", labels(1), State.EXITED, 0))
    assert world.originals.lend("web", "n1") == ""


def test_a_start_that_a_listing_has_shown_first_is_composes_all_the_same() -> None:
    world = World()
    world.user_stops("o1", now=50.0)
    world.list(asked_at=60.0)
    assert world.event("o1", "start", now=60.1)
    world.originals.policies["web"] = Policy(restart="always")
    world.event("o1", "die", "3", now=70.0)
    world.list(asked_at=80.0)
    assert not world.event("o1", "start", now=80.1), "the engine's own"


@pytest.mark.parametrize(("signals", "returns"), [([TERM], True), ([TERM, KILL], True), ([KILL], False)])
def test_what_was_asked_to_end_may_be_started_again_at_once(signals: list[str], returns: bool) -> None:
    world = World()
    for signal in signals:
        world.event("o1", "kill", signal)
    effect = world.originals.event("o1", "die", "web", labels(1), "137", 0.1, mine=False)
    assert effect.returns is returns


def test_what_compose_has_created_it_is_about_to_start() -> None:
    world = World()
    world.event("o5", "create", now=1.0)
    world.list(asked_at=100.0, o5=Found("web", labels(5), State.CREATED))
    assert world.originals.beginning(2.0) == 1
    assert world.originals.beginning(1.0 + BEGINS_S) == 0, "as after `up --no-start`"
    world.event("o5", "start", now=3.0)
    assert world.originals.beginning(3.0) == 0
    world.list(asked_at=200.0, o6=Found("web", labels(6), State.CREATED))
    assert world.originals.beginning(200.0) == 1, "its create was before the agent's time"


def test_our_own_stops_are_no_ones_else() -> None:
    world = World()
    world.originals.begins("o1", "stop", 0.0)
    assert not world.event("o1", "kill", TERM)
    assert not world.event("o1", "die", "0")
    world.originals.ends("o1", "stop", 0.2)
    assert world.originals.ours == ["o1"]
    world.originals.give_back("o1")
    assert world.originals.lend("web", "n1") == "o1"
    world.originals.begins("o1", "start", 1.0)
    assert not world.event("o1", "start", now=1.0)
    world.originals.ends("o1", "start", 1.0)
    assert world.originals.ours == []
    assert world.event("o1", "kill", TERM, now=2.0), "a stop by somebody else right after our start"


def test_a_stop_of_ours_that_meets_one_by_somebody_else_takes_nothing_over() -> None:
    """On a busy machine it had not ended when the time of stillness was over."""
    world = World()
    world.event("o1", "kill", TERM, now=1.0)
    world.originals.begins("o1", "stop", 3.0)
    assert world.event("o1", "die", "0", now=3.5)
    world.originals.ends("o1", "stop", 3.6)
    assert world.event("o1", "stop", now=3.7), "late"
    assert world.originals.ours == []
    assert world.originals.resting(3.7) == {"web"}


def test_one_that_has_just_ended_is_waited_for() -> None:
    """Not a copy for a moment, while the original stays stopped."""
    world = World()
    world.event("o1", "die", "3")
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(world.originals.lend("web", "n1")))
    thread.start()
    world.originals.give_back("o1")
    thread.join(60)
    assert found == ["o1"]


@pytest.mark.parametrize(
    ("restart", "code", "expected"),
    [("always", "0", True), ("unless-stopped", "1", True), ("on-failure", "1", True),
     ("on-failure", "0", False), ("no", "1", False)],
)  # fmt: skip
def test_the_engine_restarts_by_policy(restart: str, code: str, expected: bool) -> None:
    world = World()
    world.originals.policies["web"] = Policy(restart=restart)
    effect = world.originals.event("o1", "die", "web", labels(1), code, 0.0, mine=False)
    assert effect.restarts is expected
    assert world.event("o1", "start", now=1.0) is not expected, "the engine's own start is nobody's"
    world.event("o1", "kill", TERM, now=2.0)
    effect = world.originals.event("o1", "die", "web", labels(1), code, 2.1, mine=False)
    assert not effect.restarts, "a stop is not followed by a restart"


@pytest.mark.parametrize(
    ("code", "ours", "consent", "remembers", "rests"),
    [(0, False, False, False, True), (143, False, False, False, True), (3, False, False, True, False),
     (0, True, False, True, False), (143, False, True, False, False), (143, False, True, True, True)],
)  # fmt: skip
def test_what_had_ended_before_the_agent_came(
    code: int, ours: bool, consent: bool, remembers: bool, rests: bool
) -> None:
    originals = Originals(["o1"] if ours else [], remembers)
    originals.consent = frozenset({"web"} if consent else ())
    originals.listed({"o1": Found("web", labels(1), State.EXITED, code)}, originals.ask(100.0), TASKS)
    assert (originals.resting(0.0) == {"web"}) is rests


def test_one_that_compose_has_only_created_is_composes_to_start() -> None:
    world = World()
    world.event("o5", "create")
    world.user_stops("o1", now=1.0)
    assert world.originals.lend("web", "n1") == ""
    world.list(o6=Found("web", labels(6), State.CREATED))
    assert world.originals.lend("web", "n1") == ""


def test_a_stop_of_one_that_the_engine_was_about_to_start() -> None:
    """Nothing dies then."""
    world = World()
    world.originals.policies["web"] = Policy(restart="always")
    assert world.originals.event("o1", "die", "web", labels(1), "3", 0.0, mine=False).restarts
    effect = world.originals.event("o1", "stop", "web", labels(1), "", 1.0, mine=False)
    assert (effect.ends, effect.foreign) == (True, True)
    assert world.originals.resting(1.0) == {"web"}


def test_copies_of_another_configuration_are_stale() -> None:
    world = World(c3=Found("web", labels(3, copy=True, config="old"), State.RUNNING))
    assert world.originals.stale() == {"c3"}


def test_the_youngest_of_composes_own_decides() -> None:
    """As after an `up --no-recreate` that had to make one more."""
    world = World(o3=Found("web", labels(3, config="new"), State.CREATED))
    assert world.originals.stale() == set(), "Compose has not started it yet"
    world.event("o3", "start")
    assert world.originals.stale() == {"c2"}
    assert world.originals.models("web", 0.0) == ["o3", "o1"]


def test_another_image_is_another_configuration() -> None:
    world = World(
        o1=Found("web", labels(1), State.RUNNING, image="i2"),
        c2=Found("web", labels(2, copy=True), State.RUNNING, image="i2"),
        c3=Found("web", labels(3, copy=True), State.RUNNING, image="i1"),
        c4=Found("web", labels(4, copy=True), State.RUNNING),
    )
    assert world.originals.stale() == {"c3"}, "of c4 it is not known"
    world = World(
        o1=Found("web", labels(1, image="i2"), State.RUNNING, image="else"),
        c2=Found("web", labels(2, copy=True, image="i1"), State.RUNNING, image="else"),
    )
    assert world.originals.stale() == {"c2"}, "the label counts, where there is one"


def test_a_copy_is_ready_when_its_health_check_has_succeeded() -> None:
    world = World()
    world.originals.policies["web"] = Policy(checked=True)
    world.originals.created("c3", "web", labels(3, copy=True), 7.0)
    assert not world.originals.is_ready("c3")
    assert world.originals.made_since(7.0) == {"c3"}
    world.list(c3=Found("web", labels(3, copy=True), State.RUNNING, unready=True))
    assert not world.originals.is_ready("c3")
    world.list(c3=Found("web", labels(3, copy=True), State.RUNNING))
    assert world.originals.is_ready("c3")


def test_one_that_a_person_has_stopped_since_is_not_ours() -> None:
    world = World("o2", o2=Found("web", labels(2), State.EXITED, 143))
    world.originals.disown("o2")
    assert world.originals.ours == []


@pytest.mark.parametrize(("signal", "number"), [(None, "15"), ("SIGQUIT", "3"), ("QUIT", "3"), ("34", "34")])
def test_policy(signal: str | None, number: str) -> None:
    policy = Policy.of(
        {"Config": {"StopSignal": signal, "StopTimeout": 3}, "HostConfig": {"RestartPolicy": {"Name": ""}}}
    )
    assert number in policy.stop_signals
    assert (policy.grace_s, policy.restart, policy.checked) == (3.0, "no", False)


@pytest.mark.parametrize(
    ("check", "checked"), [(None, False), ({"Test": ["NONE"]}, False), ({"Test": ["CMD", "x"]}, True)]
)
def test_a_health_check_is_noticed(check: dict[str, list[str]] | None, checked: bool) -> None:
    assert Policy.of({"Config": {"Healthcheck": check}, "HostConfig": {}}).checked is checked


def test_own_stops_are_kept_for_the_next_life(tmp_path: Path) -> None:
    kept = OwnStops(str(tmp_path / "state"), "unix:///a.sock")
    assert kept.read() is None
    kept.write({"b": "2026", "a": ""})
    assert OwnStops(str(tmp_path / "state"), "unix:///a.sock").read() == {"a": "", "b": "2026"}
    assert OwnStops(str(tmp_path / "state"), "unix:///b.sock").read() is None


def test_a_folder_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    kept = OwnStops(str(tmp_path / "file" / "state"), "unix:///a.sock")
    kept.write({"a": ""})
    kept.write({"b": ""})
    assert [record.message.partition(":")[0] for record in caplog.records] == ["MSS_STATE_DIR"]


def test_a_late_event_of_a_pause_is_not_that_of_others() -> None:
    """Podman tells of a freeze and a thaw when the container gets its stop already."""
    world = World()
    for call in ("freeze", "thaw", "stop"):
        world.originals.begins("c2", call, 0.0)
        world.originals.ends("c2", call, 0.0)
    assert not any(world.event("c2", kind, now=0.3) for kind in ("pause", "unpause", "kill", "die"))
    assert world.event("c2", "start", now=0.3)
    world.originals.begins("o1", "stop", 0.0)
    world.originals.begins("o1", "freeze", 0.1)
    assert world.event("o1", "kill", TERM, now=0.3), "of an earlier call"
