"""Spans of time, and which of them excuse what."""

from __future__ import annotations

import functools
import math
from bisect import bisect_right
from collections.abc import Iterable

from tests.chaos.history import Fault, History, State

STARTS_S = 5.0
"""Longer than it takes to start a container, on a busy machine too."""
PROVES_S = 5.0
"""A container has to run this long before its task stops backing off."""
STRIKE_S = 12.0
"""An answer that does not come is given up after 10 s; what was asked for may be done until then."""


BUSY = 2.0
"""Load per processor above which a machine is not ours alone, so everything takes longer in proportion."""

Span = tuple[float, float]


WHILE_S = 10.0
"""What is asked about may take so long, and others may begin to work meanwhile."""


def busy(history: History, t: float) -> float:
    """By how much times may be longer from `t` on: 1, unless others keep the machine busy too."""
    loads = _loads(history)
    first = max(0, bisect_right(loads, (t, math.inf)) - 1)
    return max([1.0, *(load / BUSY for begin, load in loads[first:] if begin <= t + WHILE_S)])


@functools.lru_cache(maxsize=2)
def _loads(history: History) -> list[tuple[float, float]]:
    return [(h.t, h.detail) for h in history.of("load")]


def faults_of(history: History, *groups: str) -> list[Fault]:
    return [fault for fault in history.faults if fault.group in groups]


def excuses(history: History, task: str) -> list[Span]:
    """When a task may be below its minimum: faults that hit it and the time to come back from them,
    when there is no agent, and when it backs off."""
    still_s = history.scene.still_s
    found = [
        (f.begin, _started(history, f.over(history.last) + still_s)) for f in history.faults if task in f.hits
    ]
    down: float | None = float("-inf")
    for happening in history.of("agent up", "agent down", "agent died"):
        if happening.kind == "agent up" and down is not None:
            found.append((down, _started(history, happening.t + still_s)))
            down = None
        elif happening.kind != "agent up":
            down = happening.t
    if down is not None:
        found.append((down, float("inf")))
    return found + back_offs(history, task)


def _started(history: History, t: float) -> float:
    """When a container must run that could be started from `t` on."""
    return t + STARTS_S * busy(history, t)


@functools.lru_cache(maxsize=16)
def back_offs(history: History, task: str) -> list[Span]:
    """From a failed start until a try has proved itself, or has had all the time it needs to."""
    found = []
    for happening in history.of("backs off"):
        if happening.task == task:
            over = (h.t for h in history.of("stays up") if h.task == task and h.t > happening.t)
            patience_s = happening.detail + PROVES_S + STARTS_S
            until = _later(history, happening.t, patience_s)
            found.append((happening.t - 1, min(until, _started(history, next(over, until)))))
    return found


def _later(history: History, begin: float, patience_s: float) -> float:
    """When `patience_s` seconds have passed since `begin` without engine, link or agent in trouble."""
    until = begin + patience_s
    for a, b in joined(
        [(f.begin, f.over(history.last)) for f in faults_of(history, "engine", "link", "agent")]
    ):
        if b > begin and a < until:
            until += b - max(a, begin)
    return until


def backs_off(history: History, task: str, t: float) -> bool:
    return any(begin <= t <= end for begin, end in back_offs(history, task))


def ending(history: History, t: float) -> bool:
    """The agent has been told to stop, or is being replaced."""
    return any(h.t - 0.1 <= t for h in history.of("agent down") if h.detail == "end")


def delay(history: History, t: float, *groups: str) -> float:
    """How much later than usual something may come about at `t`: as long as engine, link or what else
    it takes have been in trouble just before."""
    crash_backoffs = [
        (f.begin, f.over(history.last))
        for f in faults_of(history, *groups)
        if f.begin <= t <= f.over(history.last) + STRIKE_S
    ]
    return t - min(begin for begin, _ in crash_backoffs) if crash_backoffs else 0.0


def spans(history: History, begin: str, ends: Iterable[str]) -> list[Span]:
    """From each `begin` to the first of `ends` after it."""
    found: list[Span] = []
    since: float | None = None
    for happening in history.of(begin, *ends):
        if happening.kind == begin:
            since = happening.t
        elif since is not None:
            found.append((since, happening.t))
            since = None
    return found


def unknown(history: History, looked_at: list[State]) -> list[Span]:
    """When the witness was not connected: a task is not blamed before it has had time since."""
    return [(s.t, _started(history, s.until)) for s in looked_at if not s.known]


def joined(spans: list[Span]) -> list[Span]:
    """Spans that touch, as one."""
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def without(spans: list[Span], excused: list[Span]) -> list[Span]:
    """What is left of `spans`."""
    left = spans
    for begin, end in excused:
        left = [
            piece for a, b in left for piece in ((a, min(b, begin)), (max(a, end), b)) if piece[0] < piece[1]
        ]
    return left
