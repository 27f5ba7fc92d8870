"""Each invariant does fire: histories that break it, and the nearest ones that do not. No engine."""

from __future__ import annotations

import itertools

import pytest

from tests.chaos.history import Fault, Happening, History
from tests.chaos.invariants import CHECKERS, check
from tests.chaos.plan import KINDS, make_plan
from tests.chaos.recovery import recoveries, settlings
from tests.chaos.scene import CAP, DOCKER, MAX_WAITING, MEASURED, PARTS

LEASTS = {part.name: part.least for part in PARTS}
FULL = {**LEASTS, "rest": CAP - sum(LEASTS.values()) + 1}
EVERYONE = tuple(LEASTS)
END = 100.0


def at(t: float, kind: str, task: str = "", id: str = "", detail: object = None) -> Happening:
    return Happening(t, kind, task, id, detail)


ALL_GONE = at(END, "end", detail={"code": 0, "left": []})


def running(counts: dict[str, int]) -> dict[str, str]:
    return {f"{task}-{i}": task for task, count in counts.items() for i in range(count)}


def history(*happenings: Happening, faults: tuple[Fault, ...] = (), **counts: int) -> History:
    """A run of 100 s in which all is well: an agent, `counts` containers of each task (by default as
    many as there should be), and whatever else happens."""
    runs = running({**FULL, **counts})
    usual = [at(0, "agent up"), at(0, "listed", detail=runs), at(END, "agent down", detail="end"), ALL_GONE]
    return History(sorted([*usual, *happenings], key=lambda h: h.t), list(faults))


def served(task: str, begin: float, end: float, length: int = 0) -> list[Happening]:
    return [at(begin + i / 2, "served", task, detail=length) for i in range(int((end - begin) * 2))]


def broken(happened: History) -> set[str]:
    return {violation.invariant for violation in check(happened)}


def test_a_run_in_which_all_is_well():
    assert not check(history(*served("alpha", 0, 99), at(50, "calm"), at(60, "disturbed")))


LOST = [at(20, "lost"), at(30, "listed", detail=running(FULL))]
OVER = at(30.5, "start", "rest", "one more")
NO_ALPHA = [at(20, "die", "alpha", "alpha-0"), at(20, "die", "alpha", "alpha-1")]
ONE_MORE = [at(9, "die", "rest", "rest-0"), at(10, "start", "rest", "one more")]
BACK = [at(27, "start", "alpha", "alpha-2"), at(27, "start", "alpha", "alpha-3")]
STOPPED = at(50, "kill", "beta", "beta-0", "15")
LOWERED = at(50, "decided", "beta", detail=[3, 1, "queue 0 of target 50"])
GAVE = at(50, "decided", "gamma", detail=[3, 1, "gives 2 to beta, which comes first and is short of 2"])
REST = at(50, "kill", "rest", "rest-0", "15")
REST_GAVE = at(50, "decided", "rest", detail=[3, 2, "gives 1 to alpha, which comes first and is short of 1"])
TOO_MANY = at(50, "decided", "rest", detail=[3, 2, "1 too many for the cap of 12: gives back 1"])
LATE = "uses what is left: wants 9 more than the 2 it has asked for: 1 fewer than decided before"
FEWER = at(50, "decided", "rest", detail=[5, 4, LATE])
RAISED = at(50, "decided", "gamma", detail=[2, 3, "queue 160 of target 50: wants 1 more"])
FAILS = at(45, "backs off", "flaky", detail=8)
TRIED = at(50, "decided", "beta", detail=[3, 2, "gives 1 to flaky, which tries again"])
TRIED_REST = at(50, "decided", "rest", detail=[3, 2, "gives 1 to flaky, which tries again"])
BETA_TOO_MANY = at(50, "decided", "beta", detail=[3, 2, "1 too many for the cap of 12: gives back 1"])
NEVER_RAN = [at(1, "die", "flaky", "flaky-0"), at(1, "backs off", "flaky", detail=99)]
BETA_WORKS = served("beta", 0, 60, 99)

BREAKS = [
    ("cap", [at(10, "start", "rest", "one more")], {}),
    ("cap", [at(20, "lost"), at(30, "listed", detail={str(i): "rest" for i in range(CAP + 1)})], {}),
    ("minimum", NO_ALPHA, {}),
    ("minimum", [*NO_ALPHA, *BACK], {}),
    ("minimum", [*NO_ALPHA, at(20, "disturbed")], {"faults": (Fault("", "engine", 5, 10, EVERYONE),)}),
    ("minimum", [*NO_ALPHA, *BACK], {"faults": (Fault("", "crash", 19, 27, ("flaky",)),)}),
    ("minimum", [*NO_ALPHA, *BACK, at(20, "backs off", "beta", detail=60)], {}),
    ("reading", [STOPPED], {}),
    ("reading", [STOPPED, *served("beta", 0, 44)], {}),
    ("reading", [STOPPED, *served("gamma", 0, 60)], {}),
    ("reading", [LOWERED, *served("gamma", 0, 60)], {}),
    ("reading", [LOWERED, *served("beta", 0, 40)], {"faults": (Fault("agent killed", "agent", 40.5, 49.8),)}),
    ("reading", [REST], {}),
    ("reading", [LOWERED, *served("alpha", 0, 60, 99)], {}),  # which it does not give to
    ("reading", [LOWERED, *served("beta", 0, 60, 99)], {}),  # which is not what it says
    ("reading", [STOPPED, *served("beta", 0, 60, 99), *served("alpha", 0, 60)], {}),
    ("reading", [GAVE, *served("alpha", 0, 60, 99)], {}),
    ("reading", [GAVE, *served("beta", 0, 60)], {}),
    ("reading", [REST_GAVE, *served("alpha", 0, 60, 40)], {}),
    ("reading", [TOO_MANY], {}),
    ("reading", [TOO_MANY, RAISED, *served("gamma", 0, 40, 99)], {}),
    ("reading", [FEWER], {}),
    ("reading", [TRIED, FAILS, *BETA_WORKS], {}),
    ("reading", [STOPPED, FAILS, *BETA_WORKS], {}),
    ("reading", [BETA_TOO_MANY, FAILS, *BETA_WORKS], {}),
    ("foreign", [at(50, "kill", "", "theirs", "15")], {}),
    ("foreign", [at(50, "destroy", "", "theirs")], {"faults": (Fault("", "engine", 5, 10, EVERYONE),)}),
    ("recovery", [at(10, "calm"), at(40, "disturbed"), at(9, "die", "rest", "rest-0")], {}),
    ("recovery", [at(10, "calm"), at(40, "disturbed"), *NO_ALPHA, at(9, "die", "alpha", "alpha-1")], {}),
    ("settling", [at(10, "steady", detail={**FULL, "alpha": 8, "rest": 1}), at(40, "moving")], {}),
    ("life", [at(50, "agent died", detail=1), at(50.5, "agent up")], {}),
    ("life", [at(50, "agent down", detail="leave"), at(51, "agent ended", detail=1), at(51, "agent up")], {}),
]  # fmt: skip


@pytest.mark.parametrize(("invariant", "happenings", "more"), BREAKS)
def test_it_fires(invariant: str, happenings: list[Happening], more: dict):
    assert invariant in broken(history(*happenings, **more))


LINK = {"faults": (Fault("", "link", 41, 48),)}
RECOVERS = [at(9, "die", "rest", "rest-0"), at(10, "calm"), at(12, "start", "rest", "r"), at(40, "disturbed")]
FLAKY = [at(9, "die", "flaky", "flaky-0"), at(9, "backs off", "flaky", detail=99)]
HOLDS = [
    ("its place was empty", ONE_MORE, {}),
    ("the listing is older than the event", [*LOST, OVER, at(30.9, "die", "rest", "rest-0")], {}),
    ("back soon enough", [*NO_ALPHA, at(24, "start", "alpha", "a"), at(24.5, "start", "alpha", "b")], {}),
    ("a fault kept it there", [*NO_ALPHA, *BACK], {"faults": (Fault("", "engine", 19, 25, EVERYONE),)}),
    ("there was no agent", [*NO_ALPHA, *BACK, at(19, "agent down", detail="kill"), at(24, "agent up")], {}),
    ("a busy machine", [*NO_ALPHA, *BACK, at(10, "load", detail=3.0)], {}),
    ("a machine that becomes busy", [*NO_ALPHA, *BACK, at(24, "load", detail=3.0)], {}),
    ("it backed off", [*NO_ALPHA, *BACK, at(20, "backs off", "alpha", detail=1)], {}),
    ("measured", [STOPPED, *served("beta", 0, 49)], {}),
    ("a more important one may be given to", [STOPPED, *served("alpha", 0, 49, 99)], {}),
    ("gives way to one that is measured", [GAVE, *served("beta", 0, 49, 99)], {}),
    ("lowered by its own reading", [LOWERED, *served("beta", 0, 49)], {}),
    ("decided before it was frozen", [LOWERED, *served("beta", 0, 40)],
     {"faults": (Fault("agent frozen", "agent", 40.5, 49.8),)}),
    ("by hand", [STOPPED, at(49.9, "by hand", id="beta-0")], {}),
    ("decided before the trouble", [STOPPED, *served("beta", 0, 40)], LINK),
    ("to one below its minimum", [REST, at(49, "die", "beta", "beta-0"), at(52, "start", "beta", "b")], {}),
    ("to one below its minimum, which comes first", [REST_GAVE, at(49, "die", "alpha", "alpha-0"),
                                                     at(52, "start", "alpha", "a")], {}),
    ("to one that was raised with it", [TOO_MANY, RAISED, *served("gamma", 0, 60, 99)], {}),
    ("fewer than decided before, for one that was raised", [FEWER, RAISED, *served("gamma", 0, 60, 99)], {}),
    ("for a try, by what soaks up the rest", [TRIED_REST, REST, FAILS], {}),
    ("for a try of what has never run", [TRIED, STOPPED, *NEVER_RAN, *BETA_WORKS], {"flaky": 1}),
    ("the end", [at(END + 1, "kill", "beta", "beta-0", "15")], {}),
    ("foreign, by hand", [at(50, "kill", "", "theirs"), at(49, "by hand", id="theirs")], {}),
    ("foreign, the engine", [at(50, "die", "", "theirs")], {"faults": (Fault("", "engine", 49, 52),)}),
    ("recovered", RECOVERS, {}),
    ("a share of one that backs off", [*FLAKY, at(10, "calm"), at(40, "disturbed")], {}),
    ("left with the engine away", [at(50, "agent down", detail="leave"), at(51, "agent ended", detail=1),
                                   at(51, "agent up")], {"faults": (Fault("", "engine", 45, 60),)}),
]  # fmt: skip


@pytest.mark.parametrize(("happenings", "more"), [row[1:] for row in HOLDS], ids=[row[0] for row in HOLDS])
def test_it_does_not_fire(happenings: list[Happening], more: dict):
    assert not broken(history(*happenings, **more))


@pytest.mark.parametrize("detail", [{"code": 1, "left": []}, {"code": 0, "left": ["alpha 1234 (exited)"]}])
def test_the_end_fires(detail: dict):
    assert broken(history(at(END, "end", detail=detail))) == {"end"}


def test_how_long_it_took():
    happened = history(*RECOVERS, at(50, "steady", detail=FULL), at(60, "moving"))
    assert recoveries(happened) == [(10, 2, "")]
    assert [took for _, took, _ in settlings(happened)] == [0.0]


def test_every_checker_is_shown_to_fire():
    assert {invariant for invariant, _, _ in BREAKS} | {"end"} == {
        "cap", "minimum", "reading", "foreign", "recovery", "settling", "life", "end",
    }  # fmt: skip
    assert len(CHECKERS) == 8


def test_the_same_seed_makes_the_same_plan_and_short_runs_see_much():
    assert make_plan(1, 30) == make_plan(1, 30) != make_plan(2, 30)
    kinds = {fault.kind for round in make_plan(1, 30) for fault in round.faults}
    assert kinds == set(KINDS)


def test_what_cannot_be_had_is_left_out_and_nothing_else_changes():
    everything, less = ([f for r in make_plan(1, 30, out) for f in r.faults] for out in ((), ("clock",)))
    assert less == [fault for fault in everything if fault.group != "clock"] != everything


@pytest.mark.parametrize("high", [*itertools.product((False, True), repeat=4)])
def test_what_tasks_settle_at_uses_all_of_the_cap(high: tuple[bool, ...]):
    counts = DOCKER.share({name: MAX_WAITING * up for name, up in zip(MEASURED, high, strict=True)})
    assert sum(counts.values()) == CAP
    assert all(part.least <= counts[part.name] <= part.most for part in PARTS)


def test_the_most_important_one_comes_first_when_all_are_short():
    assert DOCKER.share(dict.fromkeys(MEASURED, MAX_WAITING)) == {
        "alpha": 8,
        "beta": 1,
        "gamma": 1,
        "flaky": 1,
        "rest": 1,
    }
