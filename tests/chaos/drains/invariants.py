"""What must hold besides in every run with drains."""

from __future__ import annotations

import signal
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tests.chaos import invariants
from tests.chaos.drains.scene import Worker
from tests.chaos.excuses import busy, faults_of
from tests.chaos.history import Happening, History, states
from tests.chaos.invariants import Violation

LOOKED_S = 1.0
"""A job that is younger may have begun after the last look."""
MAX_BUSY = 2.0
"""However busy the machine is, both take no longer than twice that."""
NOTED_S = 1.0
"""A drain may be in the agent's file for so much less than it lasts."""
STOP, QUIET, RESUME = (str(int(number)) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2))


@dataclass
class Life:
    """One container, by its own words and the engine's."""

    task: str
    said: list[tuple[float, str]] = field(default_factory=list)
    signals: list[tuple[float, str]] = field(default_factory=list)

    def at_work_since(self, t: float) -> float | None:
        """When the job began that it is at; None: it is at none."""
        at = bisect_right(self.said, (t, "~")) - 1
        return self.said[at][0] if at >= 0 and self.said[at][1] == "busy" else None

    def quieted_at(self, t: float) -> float | None:
        """When it was told to take no new job; None: it takes some."""
        told = [(at, number) for at, number in self.signals if at < t and number in (QUIET, RESUME)]
        return told[-1][0] if told and told[-1][1] == QUIET else None


def busy_ones_are_left_alone(history: History) -> list[Violation]:
    """No container is stopped that is at work, before its drain has had all its time: not one that has been
    for a second, and none at all that was told to take no new job."""
    found = []
    drains = _drains(history)
    for id, t, life in _stops(history):
        began, quieted = life.at_work_since(t), life.quieted_at(t)
        if began is None:
            continue
        slow = min(busy(history, t), MAX_BUSY)
        late_s = LOOKED_S * slow + _held_up(history, t)
        was_quiet = quieted is not None and began < quieted
        if t - began < late_s and not was_quiet:
            continue
        part = history.scene.part(life.task)
        assert isinstance(part, Worker)
        drained = _drained(drains, id, t)
        if drained < part.least_s - NOTED_S * slow:
            told = f", told to take no new job {t - quieted:.2f} s before" if quieted is not None else ""
            what = (
                f"{life.task} {id[:12]} was stopped {t - began:.2f} s after the begin of its job{told}, "
                f"after {drained:.1f} s of a drain that has {part.least_s:g} s"
            )
            found.append(Violation("busy", t, what))
    return found


def _held_up(history: History, t: float) -> float:
    """How much later than usual a signal may have followed its look: a way that hung, or an agent or an
    engine that was frozen, may have held it up."""
    begins = [
        fault.begin
        for fault in faults_of(history, "engine", "link", "agent")
        if fault.begin <= t <= fault.over(history.last) + LOOKED_S
    ]
    return t - min(begins, default=t)


def cap_holds(history: History) -> list[Violation]:
    """Never do more run than the cap, and those that drain without holding their places."""
    found = []
    drains = _drains(history)
    begins = [since for since, _, _ in drains]
    over = {violation.t: violation for violation in invariants.cap_holds(history)}
    free = {part.name for part in history.scene.parts if isinstance(part, Worker) and not part.holds_place}
    for state in states(history):
        if state.t not in over:
            continue
        first, last = bisect_right(begins, state.t - NOTED_S) - 1, bisect_right(begins, state.t + NOTED_S)
        draining = frozenset().union(*(ids for _, _, ids in drains[max(0, first) : last]))
        beyond = sum(id in draining and task in free for id, task in state.running.items())
        if len(state.running) - beyond > history.scene.cap:
            what = f"{over[state.t].what}; {beyond} drain without a place"
            found.append(Violation("cap", state.t, what))
    return found


def jobs_of(history: History) -> dict[str, int]:
    """How many jobs began, how many of them were cut off by a stop of the agent, and how many containers it
    stopped."""
    lives = _lives(history)
    cut = sum(1 for _, t, life in _stops(history) if life.at_work_since(t) is not None)
    began = sum(what == "busy" for life in lives.values() for _, what in life.said)
    return {"jobs": began, "stops": sum(1 for _ in _stops(history)), "stops at work": cut}


def _stops(history: History) -> Iterator[tuple[str, float, Life]]:
    """Yields each container that the agent has stopped, and when."""
    by_hand = {h.id for h in history.of("by hand")}
    for id, life in _lives(history).items():
        stops = [t for t, number in life.signals if number == STOP]
        if stops and id not in by_hand:
            yield id, stops[0], life


def _lives(history: History) -> dict[str, Life]:
    """The containers of ours, by id."""
    lives: dict[str, Life] = {}
    for happening in history.of("start", "kill"):
        if happening.task:
            life = lives.setdefault(happening.id, Life(happening.task))
            if happening.kind == "kill":
                life.signals.append((happening.t, str(happening.detail)))
    # A container knows the beginning of its id, as its host name.
    short = {id[:12]: life for id, life in lives.items()}
    for happening in history.of("said"):
        if happening.id in short:
            short[happening.id].said.append((happening.t, happening.detail))
    return lives


def _drains(history: History) -> list[tuple[float, float, frozenset[str]]]:
    """What drained when, by the agent's file: from, to, ids."""
    listed = [*history.of("drains"), Happening(history.last, "drains", detail=[])]
    return [(one.t, other.t, frozenset(one.detail)) for one, other in pairwise(listed)]


def _drained(drains: list[tuple[float, float, frozenset[str]]], id: str, t: float) -> float:
    """For how long it has drained without a break at `t`, or until the agent took it out."""
    begin: float | None = None
    for since, until, ids in drains:
        if since > t:
            break
        if id in ids:
            begin = since if begin is None else begin
        elif until < t or since < t - NOTED_S:
            begin = None
    return 0.0 if begin is None else t - begin


CHECKERS = (
    cap_holds,
    *(checker for checker in invariants.CHECKERS if checker is not invariants.cap_holds),
    busy_ones_are_left_alone,
)
