"""What must hold in every run, whatever the faults. Each checker takes a history and tells what broke it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.chaos.excuses import (
    STARTS_S,
    busy,
    delay,
    excuses,
    faults_of,
    joined,
    spans,
    unknown,
    without,
)
from tests.chaos.history import UNSURE_S, History, states
from tests.chaos.readings import lowered, stopped
from tests.chaos.recovery import recoveries, settlings

YOUNG_S = 3.0
"""Before that an agent may be told to end before it listens."""


@dataclass(frozen=True)
class Violation:
    """An invariant did not hold at `t`."""

    invariant: str
    t: float
    what: str


Checker = Callable[[History], list[Violation]]


def cap_holds(history: History) -> list[Violation]:
    """Never do more of ours run than the cap."""
    found: list[Violation] = []
    cap = history.scene.cap
    sure_from = float("inf")
    listed = iter([*history.of("listed")])
    following = next(listed, None)
    for state in states(history):
        while following is not None and following.t <= state.t:
            sure_from, following = following.t + UNSURE_S, next(listed, None)
        if state.known and len(state.running) > cap and max(state.t, sure_from) < state.until:
            counts = {part.name: state.count(part.name) for part in history.scene.parts}
            found.append(Violation("cap", state.t, f"{len(state.running)} run, the cap is {cap}: {counts}"))
    return found


def minimums_hold(history: History) -> list[Violation]:
    """No task is below its minimum for longer than it takes to start a container, but while a fault
    keeps it there, and while it backs off."""
    found = []
    looked_at = states(history)
    for part in history.scene.parts:
        excused = [*excuses(history, part.name), *unknown(history, looked_at)]
        below = [(s.t, s.until) for s in looked_at if s.known and s.count(part.name) < part.least]
        for begin, end in without(joined(below), excused):
            if end - begin > STARTS_S * busy(history, begin):
                what = f"{part.name} was below its minimum of {part.least} for {end - begin:.1f} s"
                found.append(Violation("minimum", begin, what))
    return found


def nothing_goes_without_a_reading(history: History) -> list[Violation]:
    """No container of a task is stopped, and its demand not lowered, without a fresh and valid reading
    of that task, or of a more important one that it gives way to."""
    unread = (*lowered(history), *stopped(history))
    return [Violation("reading", t, f"without a reading {what}") for t, what in unread]


def foreign_ones_are_left_alone(history: History) -> list[Violation]:
    """Nobody but the driver and the engine's own restarts touches a container without our label."""
    by_hand = {h.id for h in history.of("by hand")}
    found = []
    for happening in history.of("kill", "stop", "die", "destroy", "pause", "update", "rename"):
        if happening.task or happening.id in by_hand:
            continue
        if any(f.begin <= happening.t <= f.over(history.last) + 10 for f in faults_of(history, "engine")):
            continue
        what = f"{happening.kind} of the foreign container {happening.id[:12]}"
        found.append(Violation("foreign", happening.t, what))
    return found


def it_recovers(history: History) -> list[Violation]:
    """Within 5 s of the last fault all minimums run, and nothing of the cap is unused; longer where drains
    hold places."""
    within_s = history.scene.recovers_s
    return [
        Violation("recovery", calm, f"recovered after {took} s, not within {within_s:g} s: {what}")
        for calm, took, what in recoveries(history)
        if took is None or took > within_s * busy(history, calm)
    ]


def it_settles(history: History) -> list[Violation]:
    """With queues that stay as they are, every task gets what its queue and priority give it."""
    found = []
    for begin, took, what in settlings(history):
        if took is None:
            within = f"not settled within {history.scene.settles_s:g} s"
            found.append(Violation("settling", begin, f"{within}: {what}"))
    return found


def it_does_not_die(history: History) -> list[Violation]:
    """The agent ends only when it is told to, and then well, if engine and way to it are."""
    found = [
        Violation("life", h.t, f"the agent ended by itself with exit code {h.detail}")
        for h in history.of("agent died")
    ] + [Violation("life", h.t, f"a traceback {h.detail}") for h in history.of("traceback")]
    for begin, end in spans(history, "agent down", ("agent ended", "agent up")):
        code = next((h.detail for h in history.of("agent ended") if h.t == end), 0)
        too_early = any(begin - YOUNG_S <= h.t <= begin for h in history.of("agent up"))
        if code and not (code == -signal.SIGTERM and too_early) and not delay(history, end, "engine", "link"):
            found.append(Violation("life", end, f"told to leave, the agent ended with exit code {code}"))
    return found


def nothing_is_left(history: History) -> list[Violation]:
    """At the end: told to stop, the agent stops everything and says that all went well."""
    found = []
    for happening in history.of("end"):
        code, left = happening.detail["code"], happening.detail["left"]
        if code != 0:
            found.append(Violation("end", happening.t, f"exit code {code} at the end"))
        if left:
            found.append(Violation("end", happening.t, f"left behind: {', '.join(left)}"))
    return found


CHECKERS: tuple[Checker, ...] = (
    cap_holds,
    minimums_hold,
    nothing_goes_without_a_reading,
    foreign_ones_are_left_alone,
    it_recovers,
    it_settles,
    it_does_not_die,
    nothing_is_left,
)


def check(history: History, checkers: Iterable[Checker] = CHECKERS) -> list[Violation]:
    """All that was broken, in order of time."""
    return sorted((v for checker in checkers for v in checker(history)), key=lambda v: v.t)
