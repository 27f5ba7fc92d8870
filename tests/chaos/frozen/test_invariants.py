"""The invariants about frozen containers do fire: histories that break them, and the nearest that do not."""

from __future__ import annotations

import pytest

from tests.chaos.frozen.invariants import (
    cap_holds,
    freezes_of,
    frozen_ones_end_in_time,
    nothing_goes_without_a_reading,
    warm_ones_are_told,
)
from tests.chaos.frozen.plan import DECK
from tests.chaos.frozen.scene import GO, PARTS, SCENE
from tests.chaos.history import Fault, Happening, History, states
from tests.chaos.plan import make_plan
from tests.chaos.scene import CAP, MAX_WAITING

B = "b" * 64
"""A container of beta: 12 s, and three of them at the same time."""
MANY = {f"rest-{i}": "rest" for i in range(CAP - 1)} | {B: "beta"}


def at(t: float, kind: str, task: str = "", id: str = "", detail: object = None) -> Happening:
    return Happening(t, kind, task, id, detail)


def of_b(t: float, kind: str, detail: object = None) -> Happening:
    return at(t, kind, "beta", B, detail)


def history(*happenings: Happening, faults: tuple[Fault, ...] = ()) -> History:
    begin = [at(0, "agent up"), at(0, "listed", detail=MANY)]
    return History(sorted([*begin, *happenings, at(100, "end")], key=lambda h: h.t), list(faults), SCENE)


PAUSE, UNPAUSE = of_b(20, "pause"), of_b(25, "unpause")
ANOTHER = at(21, "start", "alpha", "alpha-0")
BY_HAND = at(24.9, "by hand", id=B, detail="unpause")
SHORT = [at(19.5, "served", "alpha", detail=MAX_WAITING)]
AWAY = (Fault("agent killed", "agent", 30, 60),)


def test_a_frozen_one_does_not_run_and_one_that_others_have_paused_does() -> None:
    assert [len(s.running) for s in states(history(PAUSE, UNPAUSE))] == [CAP, CAP - 1, CAP]
    theirs = at(19.9, "by hand", id=B, detail="pause")
    assert {len(s.running) for s in states(history(theirs, PAUSE, UNPAUSE))} == {CAP}


def test_the_cap() -> None:
    assert not cap_holds(history(PAUSE, ANOTHER))
    assert cap_holds(history(PAUSE, ANOTHER, UNPAUSE))
    in_time = at(28, "die", "alpha", "alpha-0")
    assert not cap_holds(history(PAUSE, ANOTHER, BY_HAND, UNPAUSE, in_time))
    assert cap_holds(history(PAUSE, ANOTHER, BY_HAND, UNPAUSE))
    theirs = at(19.9, "by hand", id=B, detail="pause")
    gives = at(19.8, "decided", "beta", detail=[2, 1, "gives 1 to alpha, which comes first"])
    assert cap_holds(history(theirs, PAUSE, ANOTHER))
    assert not cap_holds(history(gives, theirs, PAUSE, ANOTHER))
    assert cap_holds(history(gives, theirs, PAUSE, ANOTHER, UNPAUSE))


def test_a_freeze_needs_a_reading() -> None:
    assert nothing_goes_without_a_reading(history(PAUSE))
    assert not nothing_goes_without_a_reading(history(PAUSE, *SHORT))
    again = of_b(30, "pause")
    assert nothing_goes_without_a_reading(history(PAUSE, *SHORT, UNPAUSE, again))
    assert not nothing_goes_without_a_reading(
        history(PAUSE, *SHORT, of_b(32, "unpause"), of_b(32.1, "kill", "15"))
    )
    assert nothing_goes_without_a_reading(history(PAUSE, *SHORT, UNPAUSE, of_b(40, "kill", "15")))


def test_what_others_pause_takes_a_place_and_what_they_unpause() -> None:
    theirs = (Fault("containers paused by hand", "held", 19, 22),)
    reason = "1 too many for the cap of 12 (less 1 of beta paused from outside): gives back 1"
    lowered = at(20, "decided", "rest", detail=[3, 2, reason])
    assert not nothing_goes_without_a_reading(history(PAUSE, lowered, faults=theirs))
    assert nothing_goes_without_a_reading(history(of_b(40, "pause"), lowered, faults=theirs))
    for reason in ("above its maximum: gives back 2", "2 too many for the cap of 12: gives back 2"):
        above = at(23, "decided", "rest", detail=[8, 6, reason])
        assert not nothing_goes_without_a_reading(history(above, faults=theirs))
        assert nothing_goes_without_a_reading(history(above))


BROKEN = [
    ("ended too early", [PAUSE, of_b(25, "kill", "9")]),
    ("still frozen", [PAUSE]),
    ("thawed too late", [PAUSE, of_b(45, "unpause")]),
]
HELD = [
    ("thawed", [PAUSE, UNPAUSE]),
    ("ended in time", [PAUSE, of_b(32, "kill", "9")]),
    ("removed by hand", [PAUSE, at(24, "by hand", id=B), of_b(25, "kill", "9")]),
    ("paused by hand", [at(19, "by hand", id=B, detail="pause"), PAUSE]),
    ("at the end", [PAUSE, at(24, "agent down", detail="end"), of_b(25, "kill", "9")]),
    ("more than may be frozen", [
        *(at(19, "pause", "beta", f"beta-{i}") for i in range(3)), PAUSE, of_b(25, "kill", "9"),
        *(at(29, "unpause", "beta", f"beta-{i}") for i in range(3)),
    ]),
]  # fmt: skip


@pytest.mark.parametrize("happenings", [h for _, h in BROKEN], ids=[why for why, _ in BROKEN])
def test_a_wrong_end_is_found(happenings: list[Happening]) -> None:
    [violation] = frozen_ones_end_in_time(history(*happenings))
    assert violation.invariant == "frozen"


@pytest.mark.parametrize("happenings", [h for _, h in HELD], ids=[why for why, _ in HELD])
def test_what_may_be(happenings: list[Happening]) -> None:
    assert not frozen_ones_end_in_time(history(*happenings))


def test_a_freeze_that_was_asked_for_long_before() -> None:
    early = [PAUSE, of_b(25, "kill", "9")]
    assert frozen_ones_end_in_time(history(*early, faults=(Fault("engine frozen", "engine", 0, 1),)))
    assert not frozen_ones_end_in_time(history(*early, faults=(Fault("agent frozen", "agent", 12, 19),)))


G = "c" * 64
"""A container of gamma, which has warm ones."""


def of_g(t: float, kind: str, detail: object = None) -> Happening:
    return at(t, kind, "gamma", G, detail)


WARMED = [of_g(20, "start"), of_g(21, "pause"), of_g(60, "unpause")]


def test_warm_ones_are_told_to_go_and_are_not_frozen_then() -> None:
    assert not warm_ones_are_told(history(*WARMED, of_g(60.1, "kill", GO)))
    assert warm_ones_are_told(history(*WARMED))
    assert warm_ones_are_told(history(*WARMED, of_g(60.1, "kill", GO), of_g(70, "pause")))
    assert warm_ones_are_told(history(of_g(20, "start"), of_g(40, "kill", GO)))
    assert not warm_ones_are_told(history(of_g(20, "start"), of_g(21, "kill", "15")))
    assert not nothing_goes_without_a_reading(history(*WARMED))
    assert not frozen_ones_end_in_time(history(*WARMED, of_g(21.5, "kill", "9")))


def test_nobody_is_blamed_while_there_is_no_agent() -> None:
    assert not frozen_ones_end_in_time(history(PAUSE, of_b(60, "unpause"), faults=AWAY))


def test_figures_and_plan() -> None:
    assert freezes_of(history(PAUSE, UNPAUSE)) == {"freezes": 1, "thaws": 1, "ended frozen": 0, "told go": 0}
    rounds = make_plan(1, 30, deck=DECK)
    assert rounds == make_plan(1, 30, deck=DECK)
    assert {f.kind for r in rounds for f in r.faults} == DECK.kinds.keys()
    assert sum(part.paused for part in PARTS) > 0
