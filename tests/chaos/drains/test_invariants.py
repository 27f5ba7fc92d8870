"""The invariant about busy containers does fire: histories that break it, and the nearest that do not."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.chaos.drains.invariants import busy_ones_are_left_alone, cap_holds, jobs_of
from tests.chaos.drains.plan import CONTENTS, DECK
from tests.chaos.drains.said import Listener
from tests.chaos.drains.scene import SCENE
from tests.chaos.history import Fault, Happening, History
from tests.chaos.plan import make_plan

A = "a" * 64
"""A container of alpha, which drains for 6 s at most and is told to take no new job."""
R = "b" * 64
"""One of rest: 8 s, or 4 s while another task waits for its place; it is told nothing."""


def at(t: float, kind: str, task: str = "", id: str = "", detail: object = None) -> Happening:
    return Happening(t, kind, task, id, detail)


def said(t: float, what: str, id: str = A) -> Happening:
    return at(t, "said", id=id[:12], detail=what)


def signal(t: float, number: str, id: str = A) -> Happening:
    return at(t, "kill", "alpha" if id == A else "rest", id, number)


def drains(t: float, *ids: str) -> Happening:
    return at(t, "drains", detail=list(ids))


START = [at(0, "start", "alpha", A), at(0, "start", "rest", R), said(1, "up"), said(1, "up", R)]


def history(*happenings: Happening, faults: tuple[Fault, ...] = ()) -> History:
    told = sorted([*START, *happenings, at(100, "end")], key=lambda h: h.t)
    return History(told, list(faults), SCENE)


LISTED = [at(-5, "listed", detail={})]
BUSY = [said(40, "busy"), drains(41, A)]
QUIET = signal(41.1, "10")
BROKEN = [
    ("its drain has only begun", [*BUSY, signal(44, "15")]),
    ("it drained, but not lately", [said(20, "busy"), drains(21, A), drains(30), signal(44, "15")]),
    ("called off for a moment", [*BUSY, drains(45), drains(45.5, A), signal(48, "15")]),
    ("the agent has never told of a drain", [said(40, "busy"), signal(44, "15")]),
    ("told to take no new job", [said(41, "busy"), *BUSY[1:], QUIET, signal(41.5, "15")]),
    ("of rest, before the shorter time", [said(40, "busy", R), drains(41, R), signal(43.5, "15", R)]),
]  # fmt: skip
HELD = [
    ("idle", [*BUSY, said(43, "idle"), signal(43.1, "15")]),
    ("its time is over", [*BUSY, signal(47.2, "15")]),
    ("noted a little late", [*BUSY, signal(46.2, "15")]),
    ("the job has only begun", [said(43.5, "busy"), *BUSY[1:], signal(44, "15")]),
    ("taken out just before the event", [*BUSY, drains(47.05), signal(47.1, "15")]),
    ("told to go on, so the job may be new", [*BUSY, QUIET, signal(42, "12"), said(43, "idle"),
                                              said(43.5, "busy"), signal(44, "15")]),
    ("by hand", [*BUSY, at(43, "by hand", id=A), signal(43.1, "15")]),
    ("the quiet signal is no stop", [*BUSY, QUIET]),
    ("of rest, after the shorter time", [said(40, "busy", R), drains(41, R), signal(45.1, "15", R)]),
]  # fmt: skip


@pytest.mark.parametrize("happenings", [h for _, h in BROKEN], ids=[why for why, _ in BROKEN])
def test_a_stop_at_work_is_found(happenings: list[Happening]) -> None:
    [violation] = busy_ones_are_left_alone(history(*happenings))
    assert violation.invariant == "busy"


@pytest.mark.parametrize("happenings", [h for _, h in HELD], ids=[why for why, _ in HELD])
def test_what_may_be(happenings: list[Happening]) -> None:
    assert busy_ones_are_left_alone(history(*happenings)) == []


def test_a_way_that_hangs_may_delay_a_signal_but_not_one_to_a_quiet_container() -> None:
    hangs = (Fault("link: hang", "link", 42, 46, ("alpha",)),)
    late = [said(43, "busy"), *BUSY[1:], signal(45.5, "15")]
    assert busy_ones_are_left_alone(history(*late, faults=hangs)) == []
    assert len(busy_ones_are_left_alone(history(*late))) == 1
    quiet = [said(41, "busy"), *BUSY[1:], QUIET, signal(45.5, "15")]
    assert len(busy_ones_are_left_alone(history(*quiet, faults=hangs))) == 1


def test_a_busy_machine_excuses_little() -> None:
    loads = [at(t, "load", detail=60.0) for t in (0, 40)]
    assert len(busy_ones_are_left_alone(history(*loads, *BUSY, signal(44, "15")))) == 1


FULL = [at(0.5, "start", task, f"{task}{n}") for task, n in [*(("rest", n) for n in range(9)), ("beta", 0)]]
MORE = at(50, "start", "rest", "one more")


@pytest.mark.parametrize(
    ("drain", "broken"),
    [([], True), ([drains(49.5, "beta0")], False), ([drains(50.5, "beta0")], False),
     ([drains(49.5, "rest0")], True), ([drains(30, "beta0"), drains(40)], True)],
    ids=["none drains", "one without a place", "noted a little late", "one with a place", "not any more"],
)  # fmt: skip
def test_the_cap_is_that_and_what_drains_without_a_place(drain: list[Happening], broken: bool) -> None:
    """With both of the usual ones, 12 run."""
    assert [v.invariant for v in cap_holds(history(*LISTED, *FULL, *drain, MORE))] == ["cap"] * broken


def test_jobs_are_counted() -> None:
    counted = jobs_of(history(*BUSY, said(42, "idle"), said(43, "busy"), signal(60, "15")))
    assert counted == {"jobs": 2, "stops": 1, "stops at work": 1}


def test_every_plan_has_faults_of_drains() -> None:
    for seed in range(20):
        kinds = {fault.kind for round in make_plan(seed, 5, deck=DECK) for fault in round.faults}
        assert "probe hangs" in kinds
        assert sum(kind.startswith("busy file: ") for kind in kinds) >= len(CONTENTS) - 1


def test_the_listener_reads_workers_and_the_agents_file(tmp_path: Path) -> None:
    words, state, heard = tmp_path / "said", tmp_path / "state", History()
    words.mkdir()
    state.mkdir()
    listener = Listener(words, state, heard)
    listener.start()
    try:
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        with (words / A[:12]).open("w") as file:
            file.write(f"{uptime} up\n{uptime:.2f} bu")
            file.flush()
            until(lambda: [*heard.of("said")] and [*heard.of("drains")])
            file.write("sy\n")
        entries = {A: {"since": 1.0, "quieted": True}, R: {"since": None, "quieted": True}}
        (state / "agents").mkdir()
        (state / "agents" / "drains-1").write_text(json.dumps(entries))
        until(lambda: any(h.detail for h in heard.of("drains")) and len([*heard.of("said")]) == 2)
    finally:
        listener.stop()
    assert [h.detail for h in heard.of("drains")] == [[], [A]]
    assert [(h.id, h.detail) for h in heard.of("said")] == [(A[:12], "up"), (A[:12], "busy")]
    assert all(abs(h.t - time.time()) < 60 for h in heard.of("said"))


def until(what: object) -> None:
    assert callable(what)
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)
