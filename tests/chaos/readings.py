"""Whether what was taken from a task was taken because of a reading."""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections.abc import Iterator

from tests.chaos.excuses import backs_off, busy, delay, ending
from tests.chaos.history import History, states
from tests.chaos.scene import BY_NAME, PARTS

FRESH_S = 3 * 0.5 + 0.5
"""A reading counts for three beats, and a decision between two beats goes by what the last one judged."""
LATE_S = 1.5
"""From a decision to the engine's event, or to our reading of it in the log, on a busy machine."""
GIVES = re.compile(r"gives \d+ to (\w+), which (comes first|is below its minimum)")
TRIED_AGAIN = "too many for the cap"
"""One that backs off gets a place again, so there is one too many for a moment."""

Unread = tuple[float, str]
"""When something was taken without a reading, and what."""


def lowered(history: History) -> Iterator[Unread]:
    """By the agent's log: it has to be the reading of the task itself, or of the one that it gives to. One
    that is below its minimum need not be measured to take from the task that has no queue."""
    for happening in history.of("decided"):
        before, after, reason = happening.detail
        if after >= before or "backing off" in reason:
            continue
        readers = {happening.task}
        if given := GIVES.match(reason):
            if given[2] != "comes first" and not BY_NAME[happening.task].measured:
                continue
            readers.add(given[1])
        if TRIED_AGAIN in reason and _somebody_else_backs_off(history, happening.task, happening.t):
            continue
        if not _read(history, readers, happening.t, _window(history, happening.t)):
            yield happening.t, f"{happening.task} was lowered from {before} to {after}: {reason}"


def _somebody_else_backs_off(history: History, task: str, t: float) -> bool:
    priority = BY_NAME[task].priority
    return any(part.priority < priority and backs_off(history, part.name, t) for part in PARTS)


def stopped(history: History) -> Iterator[Unread]:
    """By the engine's events, which do not say who is given to: it has to be a reading of the task itself
    or of any more important one. A stop is a signal 15, and may be tried again."""
    by_hand = {h.id for h in history.of("by hand")}
    asked: set[str] = set()
    for happening in history.of("kill"):
        task, id, t = happening.task, happening.id, happening.t
        if not task or id in by_hand or id in asked:
            continue
        asked.add(id)
        if ending(history, t) or backs_off(history, task, t):
            continue
        window_s = _window(history, t) + delay(history, t, "engine", "link", "agent")
        readers = {part.name for part in PARTS if part.priority <= BY_NAME[task].priority}
        if not _read(history, readers, t, window_s) and not _needed(history, task, t, window_s):
            yield t, f"{task} {id[:12]} was stopped"


def _window(history: History, t: float) -> float:
    """How old a reading may be when we see what came of it."""
    return FRESH_S + LATE_S * busy(history, t)


def _read(history: History, readers: set[str], t: float, window_s: float) -> bool:
    """Whether the source of one of them has answered well just before."""
    for reader in readers:
        times = _servings(history)[reader]
        at = bisect_left(times, t - window_s)
        if at < len(times) and times[at] <= t + 0.1:
            return True
    return False


def _needed(history: History, task: str, t: float, window_s: float) -> bool:
    """Whether the task has no queue, and somebody was below the minimum."""
    return not BY_NAME[task].measured and any(
        state.known and any(state.count(part.name) < part.least for part in PARTS)
        for state in states(history)
        if state.until >= t - window_s and state.t <= t
    )


@functools.lru_cache(maxsize=2)
def _servings(history: History) -> dict[str, list[float]]:
    """When each task's source answered well."""
    return {part.name: [h.t for h in history.of("served") if h.task == part.name] for part in PARTS}
