"""What must hold besides in every run with frozen containers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.chaos import invariants
from tests.chaos.excuses import (
    STARTS_S,
    STRIKE_S,
    Span,
    busy,
    delay,
    ending,
    faults_of,
    joined,
    spans,
    without,
)
from tests.chaos.frozen.scene import GO, Yielding
from tests.chaos.history import Happening, History, states
from tests.chaos.invariants import Violation
from tests.chaos.readings import TOO_MANY, stopped

NOTICED_S = 5.0
"""Until the cap holds again for one that somebody has unpaused: an event, a decision, and a slow stop."""
GRACE_S = 3.0
"""One that ended a moment after it was thawed was thawed for that."""
SAME_MOMENT_S = 0.5
"""Between a decision and its freeze, and that of somebody else."""
ONE_MORE = ("above its maximum", TOO_MANY)
"""Why one is given back after somebody has unpaused one."""
EARLY_S = 1.0
"""The agent may have counted a freeze from the moment at which it asked for it."""


@dataclass(frozen=True)
class Freeze:
    """A time for which the agent had a container frozen. `over`: how it ended: unpause, kill, die, destroy;
    empty if it is not over."""

    task: str
    id: str
    begin: float
    end: float
    over: str


def freezes(history: History) -> list[Freeze]:
    """All of them, by the engine's events."""
    by_hand = {h.id for h in history.of("by hand") if h.detail == "pause"}
    since: dict[str, Happening] = {}
    found = []
    for happening in history.of("pause", "unpause", "kill", "die", "destroy"):
        if happening.kind == "kill" and happening.detail == GO:
            continue
        if happening.kind == "pause" and happening.task and happening.id not in by_hand:
            since[happening.id] = happening
        elif begun := since.pop(happening.id, None):
            found.append(Freeze(begun.task, begun.id, begun.t, happening.t, happening.kind))
    return found + [Freeze(h.task, h.id, h.t, history.last, "") for h in since.values()]


def cap_holds(history: History) -> list[Violation]:
    """Never do more run than the cap; one that somebody else unpauses may be too many for a moment, and one
    that somebody pauses just when the agent freezes it holds no place."""
    over = {violation.t: violation for violation in invariants.cap_holds(history)}
    unpaused = [h for h in history.of("by hand") if h.detail == "unpause"]
    both = _frozen_by_both(history)
    found = []
    for state in states(history):
        if state.t not in over:
            continue
        recent = {h.id for h in unpaused if h.t <= state.until <= h.t + _noticed_s(history, h.t)}
        recent |= {id for id, begin, end in both if begin <= state.t < end}
        if len(state.running) - len(recent & state.running.keys()) > history.scene.cap:
            found.append(over[state.t])
    return found


def _frozen_by_both(history: History) -> list[tuple[str, float, float]]:
    """What somebody has paused in the moment in which the agent took a container from its task, until it is
    unpaused: of two that pause one, the engine tells neither who was first."""
    lowered = [(h.task, h.t) for h in history.of("decided") if h.detail[1] < h.detail[0]]
    yields = {part.name for part in history.scene.parts if isinstance(part, Yielding)} - _warm(history)
    hands = [(h.id, h.t) for h in history.of("by hand") if h.detail == "pause"]
    found = []
    for pause in history.of("pause"):
        by_hand = any(id == pause.id and 0 <= pause.t - t <= SAME_MOMENT_S for id, t in hands)
        gives = any(task == pause.task and abs(t - pause.t) <= SAME_MOMENT_S for task, t in lowered)
        if pause.task in yields and by_hand and gives:
            ends = (h.t for h in history.of("unpause") if h.id == pause.id and h.t > pause.t)
            found.append((pause.id, pause.t, next(ends, history.last)))
    return found


def _noticed_s(history: History, t: float) -> float:
    return NOTICED_S * busy(history, t) + _trouble(history, t)


def _trouble(history: History, t: float) -> float:
    """For how long after `t` engine, link or agent were in trouble that began before."""
    ends = [f.over(history.last) + STRIKE_S for f in faults_of(history, "engine", "link", "agent")
            if f.begin - 1 <= t + NOTICED_S and t <= f.over(history.last) + STRIKE_S]  # fmt: skip
    return max(0.0, max(ends, default=t) - t)


def nothing_goes_without_a_reading(history: History) -> list[Violation]:
    """A freeze needs a reading as a stop does; the end of a frozen one has a check of its own. What somebody
    else pauses holds a place for which another one goes, and what somebody unpauses takes one."""
    ends = {(f.id, f.end) for f in freezes(history)}
    thawed = {(f.id, f.end) for f in freezes(history) if f.over == "unpause"}
    by_hand = {h.id for h in history.of("by hand")}
    happenings: list[Happening] = []
    for number, happening in enumerate(history.happenings):
        if happening.kind == "kill" and happening.detail == GO:
            continue
        if happening.kind == "pause" and happening.task in _warm(history):
            continue  # with one more that is started ahead nothing is taken away
        if happening.kind == "pause" and happening.task and happening.id not in by_hand:
            # Each freeze of a container counts, and only the first of its stops.
            happenings.append(replace(happening, kind="kill", id=f"{happening.id} {number}", detail="15"))
        elif happening.kind != "kill" or not (
            (happening.id, happening.t) in ends
            or any(id == happening.id and 0 <= happening.t - end <= GRACE_S for id, end in thawed)
        ):
            happenings.append(happening)
    as_stops = History(happenings, history.faults, history.scene)
    unread = [*invariants.nothing_goes_without_a_reading(History(
        [h for h in history.happenings if h.kind != "kill"], history.faults, history.scene))]  # fmt: skip
    theirs = [(f.begin, _after(history, f.over(history.last))) for f in faults_of(history, "held", "frozen")]
    unread = [
        violation
        for violation in unread
        if "paused from outside" not in violation.what
        and not (any(words in violation.what for words in ONE_MORE) and _within(theirs, violation.t))
    ]
    return unread + [
        Violation("reading", t, f"without a reading {what}")
        for t, what in stopped(as_stops)
        if not _within(theirs, t)
    ]


def _within(found: list[Span], t: float) -> bool:
    return any(begin <= t <= end for begin, end in found)


def frozen_ones_end_in_time(history: History) -> list[Violation]:
    """No frozen container is ended before its time, and none stays frozen for longer, but while the agent
    cannot do anything."""
    found = []
    for freeze in freezes(history):
        part = history.scene.part(freeze.task)
        assert isinstance(part, Yielding)
        if part.warm:
            continue
        lasted, slow = freeze.end - freeze.begin, busy(history, freeze.end)
        # It counts from the moment at which the agent asked for it, which may have been long before.
        asked_s = lasted + delay(history, freeze.begin, "engine", "link", "agent")
        early = freeze.over == "kill" and asked_s < part.seconds - EARLY_S * slow
        if early and not _may_end(history, freeze, part):
            what = f"{freeze.task} {freeze.id[:12]} was ended {lasted:.1f} s after it was frozen"
            found.append(Violation("frozen", freeze.end, f"{what}, not {part.seconds:g} s"))
        over = (freeze.begin + part.seconds, freeze.end)
        able = without([over], _unable(history)) if over[0] < over[1] else []
        late = [(a, b) for a, b in able if b - a > STARTS_S * slow]
        found += [
            Violation("frozen", b, f"{freeze.task} {freeze.id[:12]} was frozen for {lasted:.1f} s")
            for _, b in late
        ]
    return found


def _may_end(history: History, freeze: Freeze, part: Yielding) -> bool:
    by_hand = any(h.id == freeze.id for h in history.of("by hand"))
    others = sum(
        1 for f in freezes(history) if f.task == freeze.task and f.begin < freeze.end and f.end >= freeze.end
    )
    engine = any(
        f.begin <= freeze.end <= f.over(history.last) + STRIKE_S for f in faults_of(history, "engine")
    )
    return by_hand or others > part.paused or engine or ending(history, freeze.end)


def warm_ones_are_told(history: History) -> list[Violation]:
    """What was told go is never frozen again, and what runs and is not on its way to be frozen is told soon:
    else it would never begin to work."""
    found = []
    for id, (task, happenings) in _lives(history).items():
        by_hand = {h.t for h in history.of("by hand") if h.id == id}
        told = next((h.t for h in happenings if h.detail == GO), float("inf"))
        again = [h for h in happenings if h.kind == "pause" and h.t > told]
        if again and not by_hand:
            what = f"{task} {id[:12]} was frozen {again[0].t - told:.1f} s after it was told go"
            found.append(Violation("go", again[0].t, what))
        untold = [(a, min(b, told)) for a, b in _runs(happenings, history.last) if a < told]
        for begin, end in without(untold, _unable(history)):
            if end - begin > STARTS_S * busy(history, begin) and not by_hand:
                what = f"{task} {id[:12]} ran for {end - begin:.1f} s and was not told go"
                found.append(Violation("go", end, what))
    return found


def _warm(history: History) -> set[str]:
    return {part.name for part in history.scene.parts if isinstance(part, Yielding) and part.warm}


def _lives(history: History) -> dict[str, tuple[str, list[Happening]]]:
    """What happened to each container of tasks with warm ones."""
    lives: dict[str, tuple[str, list[Happening]]] = {}
    for happening in history.of("start", "pause", "unpause", "kill", "die", "destroy"):
        if happening.task in _warm(history):
            lives.setdefault(happening.id, (happening.task, []))[1].append(happening)
    return lives


def _runs(happenings: list[Happening], last: float) -> Iterator[Span]:
    """When it ran, until it was asked to end."""
    since: float | None = None
    for happening in happenings:
        if happening.kind in ("start", "unpause"):
            since = happening.t
        elif since is not None and happening.detail != GO:
            yield since, happening.t
            since = None
    if since is not None:
        yield since, last


def _unable(history: History) -> list[Span]:
    """When the agent was not there, or could do nothing, and the time that it has after it."""
    found = [(a, _after(history, b)) for a, b in _absent(history)]
    for fault in faults_of(history, "engine", "link", "agent"):
        found.append((fault.begin, _after(history, fault.over(history.last) + STRIKE_S)))
    return joined(found)


def _absent(history: History) -> Iterator[Span]:
    yield from spans(history, "agent down", ("agent up",))
    yield from spans(history, "agent died", ("agent up",))


def _after(history: History, t: float) -> float:
    return t + STARTS_S * busy(history, t)


def freezes_of(history: History) -> dict[str, int]:
    """How many freezes there were, how many of them ended with a thaw, and how many with the container; and
    how many containers were told go."""
    all_of_them = freezes(history)
    told = sum(1 for h in history.of("kill") if h.detail == GO)
    thawed = sum(f.over == "unpause" for f in all_of_them)
    ended = sum(f.over in ("kill", "die", "destroy") for f in all_of_them)
    return {"freezes": len(all_of_them), "thaws": thawed, "ended frozen": ended, "told go": told}


CHECKERS = (
    cap_holds,
    nothing_goes_without_a_reading,
    *(
        checker
        for checker in invariants.CHECKERS
        if checker not in (invariants.cap_holds, invariants.nothing_goes_without_a_reading)
    ),
    frozen_ones_end_in_time,
    warm_ones_are_told,
)
