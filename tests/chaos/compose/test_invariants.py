"""Each invariant of runs with Compose fires for histories that break it, and not for the nearest others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.compose.invariants import CHECKERS, WHOLE
from tests.chaos.compose.plan import DECK
from tests.chaos.compose.scene import CAP, NAMES, PARTS, SCENE
from tests.chaos.history import Fault, Happening, History
from tests.chaos.invariants import check
from tests.chaos.plan import make_plan

LEASTS = {part.name: part.least for part in PARTS}
FULL = {**LEASTS, "rest": CAP - sum(LEASTS.values()) + 1}
END = 200.0


def at(t: float, kind: str, task: str = "", id: str = "", detail: object = None) -> Happening:
    return Happening(t, kind, task, id, detail)


def running(counts: dict[str, int]) -> dict[str, str]:
    return {f"{task}-{i}": task for task, count in counts.items() for i in range(count)}


def history(*happenings: Happening, faults: tuple[Fault, ...] = (), **counts: int) -> History:
    """A run of 200 s in which all is well: an agent, `counts` containers of each service (by default as many
    as there should be; all copies but the first, of the configuration "1"), and whatever else happens."""
    runs = running({**FULL, **counts})
    abouts = [at(0, "about", task, id, made(id[-2:] != "-0", "1")) for id, task in runs.items()]
    usual = [at(0, "agent up"), *abouts, at(0, "there", detail=[*runs]), at(0, "listed", detail=runs),
             at(END, "agent down", detail="end"), at(END, "end", detail={"code": 0, "left": []}),
             at(END, "down", detail={"code": 0, "left": []})]  # fmt: skip
    return History(sorted([*usual, *happenings], key=lambda h: h.t), list(faults), SCENE)


def made(copy: bool, hash: str) -> dict[str, Any]:
    return {"copy": copy, "hash": hash}


def typed(begin: float, end: float) -> dict[str, Any]:
    """A command of Compose."""
    return {"faults": (Fault("compose: up", "compose", begin, end, NAMES),)}


def broken(happened: History) -> set[str]:
    return {violation.invariant for violation in check(happened, CHECKERS)}


ONE_MORE = [at(50, "about", "rest", "r", made(True, "1")), at(50, "start", "rest", "r")]
BY_COMPOSE = [at(47, "about", "rest", "r", made(False, "1")), at(47, "start", "rest", "r"),
              at(61, "die", "rest", "r")]  # fmt: skip
ONE_LESS = at(55, "die", "rest", "r")
NO_BETA = at(50, "die", "beta", "beta-0")
BETA_BACK = at(60, "start", "beta", "beta-0")
RESTED = [at(50, "die", "beta", "beta-0"), at(50, "rests", "beta")]
WRONG = [at(60, "start", "beta", "b"), at(62, "die", "beta", "b")]
WRONG_GAMMA = [at(60, "start", "gamma", "g"), at(62, "die", "gamma", "g"), at(80, "wakes", "gamma")]
FORGETS = [at(51, "agent down"), at(52, "state lost"), at(53, "agent up")]
WAKES = [at(80, "wakes", "beta"), at(81, "start", "beta", "beta-0")]
NEW = [at(50, "die", "rest", "rest-0"), at(50, "destroy", "rest", "rest-0"),
       at(50, "about", "rest", "new", made(False, "2")), at(50, "start", "rest", "new")]  # fmt: skip
TOLD = [at(100, "kill", "rest", f"rest-{i}", "15") for i in range(1, FULL["rest"])]
LATE = [at(150, "kill", "rest", "rest-1", "15")]
LEFT = at(60, "down", detail={"code": 0, "left": ["network shop_back"]})
STOPPED = at(50, "kill", "beta", "beta-0", "15")
UNSEEN, SEEN = (at(t, "create", "beta", "unseen") for t in (49, 51))
REMOVED = at(60.5, "destroy", "beta", "unseen")
ITS_LABELS = at(49, "about", "beta", "unseen", made(True, "1"))
FAILED = at(60, "down", detail={"code": 1, "left": []})

BREAKS = [
    ("more than the cap", "cap", ONE_MORE, {}),
    ("for long after a command", "cap", ONE_MORE, typed(20, 30)),
    ("a copy is started above it", "cap", [*ONE_MORE, ONE_LESS], typed(40, 49)),
    ("no container of a service", "minimum", [NO_BETA, BETA_BACK], {}),
    ("for long after a command", "minimum", [NO_BETA, at(80, "start", "beta", "beta-0")], typed(45, 51)),
    ("a bystander is stopped", "foreign", [at(50, "kill", "", "plain", "15")], {}),
    ("a bystander is stopped later", "foreign", [at(50, "kill", "", "plain", "15")], typed(40, 45)),
    ("a network is left", "down", [LEFT], {}),
    ("down fails", "down", [FAILED], {}),
    ("down fails, which saw the copy", "down", [STOPPED, SEEN, FAILED, REMOVED, ITS_LABELS], typed(48, 61)),
    ("started while it is to rest", "rests", [*RESTED, *WRONG, *WAKES], typed(49, 82)),
    (
        "started, though the whole project was stopped before",
        "rests",
        [at(50, "rests", "gamma", detail=WHOLE), *FORGETS, *WRONG_GAMMA],
        typed(49, 82),
    ),
    (
        "started, though it was stopped once the agent had looked",
        "rests",
        [*FORGETS, at(59, "rests", "gamma"), *WRONG_GAMMA],
        typed(49, 82),
    ),
    ("started, though it has to have one", "rests", [*RESTED, *FORGETS, *WRONG, *WAKES], typed(49, 82)),
    ("runs on while it is to rest", "rests", [at(50, "rests", "beta"), *WAKES], typed(49, 82)),
    ("copies of the old configuration", "old", NEW, typed(49, 51)),
    ("shares", "settling", [at(50, "steady", detail={**FULL, "rest": 1}), at(190, "moving")], {}),
    ("the agent dies", "life", [at(50, "agent died", detail=1), at(50.5, "agent up")], {}),
    ("a copy is left", "end", [at(END, "end", detail={"code": 0, "left": ["/shop_rest_2"]})], {}),
]


@pytest.mark.parametrize(
    ("invariant", "happenings", "more"), [r[1:] for r in BREAKS], ids=[r[0] for r in BREAKS]
)
def test_it_fires(invariant: str, happenings: list[Happening], more: dict[str, Any]) -> None:
    assert broken(history(*happenings, **more)) == {invariant}


HOLDS = [
    ("all is well", [], {}),
    ("above the cap by Compose's doing", [*ONE_MORE, ONE_LESS], typed(49, 51)),
    ("above the cap, and no agent yet", [*BY_COMPOSE, at(45, "agent down"), at(52, "agent up")],
     typed(46, 48)),
    ("by the engine's doing", [*ONE_MORE, ONE_LESS],
     {"faults": (Fault("engine killed", "engine", 44, 51, NAMES),)}),
    ("started in place of one that ended", [at(49, "die", "rest", "rest-1"), *ONE_MORE], {}),
    ("what backs off does not count", [at(49, "backs off", "flaky", detail=60), *ONE_MORE], {}),
    ("back in time after a command", [NO_BETA, at(56, "start", "beta", "beta-0")], typed(45, 51)),
    ("a bystander, by Compose", [at(50, "kill", "", "plain", "15")], typed(49, 52)),
    ("a bystander, by hand", [at(50, "kill", "", "plain", "9"), at(49, "by hand", id="plain")], {}),
    ("down, which did not see a copy", [UNSEEN, STOPPED, FAILED, REMOVED, ITS_LABELS], typed(48, 61)),
    ("rests until it is started", [*RESTED, *WAKES], typed(49, 82)),
    ("started by an agent that cannot know", [at(50, "rests", "gamma"), *FORGETS, *WRONG_GAMMA],
     typed(49, 82)),
    ("stopped before the agent had looked", [*FORGETS, at(54.5, "rests", "gamma"), *WRONG_GAMMA],
     typed(49, 82)),
    ("ends while it is to rest", [at(50, "rests", "beta"), at(52, "die", "beta", "beta-0"), *WAKES],
     typed(49, 82)),
    ("the old are told to go", [*NEW, *TOLD], typed(49, 51)),
    ("no agent told them", [*NEW, at(51, "agent down"), at(120, "agent up"), *LATE, *TOLD[1:]],
     typed(49, 51)),
    ("the youngest was removed again", [*NEW, at(60, "destroy", "rest", "new")],
     {**typed(49, 51), "rest": FULL["rest"]}),
    ("its place is taken by one of Compose's", [*NEW, *TOLD, at(99, "about", "rest", "c", made(False, "2"))],
     typed(49, 51)),
    ("settles", [at(50, "steady", detail=FULL), at(60, "moving")], {}),
]  # fmt: skip


@pytest.mark.parametrize(("happenings", "more"), [row[1:] for row in HOLDS], ids=[row[0] for row in HOLDS])
def test_it_does_not_fire(happenings: list[Happening], more: dict[str, Any]) -> None:
    assert not broken(history(*happenings, **more))


def test_every_checker_is_shown_to_fire() -> None:
    fired = {checker for checker in CHECKERS for _, _, happenings, more in BREAKS
             if checker(history(*happenings, **more))}  # fmt: skip
    assert fired == set(CHECKERS)


def test_the_same_seed_makes_the_same_plan_and_short_runs_see_much() -> None:
    plan = make_plan(1, 10, deck=DECK)
    assert plan == make_plan(1, 10, deck=DECK) != make_plan(2, 10, deck=DECK)
    assert {fault.kind for round in plan for fault in round.faults} == set(DECK.kinds)
    for round in plan:
        groups = {fault.group for fault in round.faults}
        assert not {"compose", "engine"} <= groups
