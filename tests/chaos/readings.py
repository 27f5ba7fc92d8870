"""Whether what was taken from a task was taken because of a reading."""

from __future__ import annotations

import functools
import re
import signal
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from tests.chaos.excuses import backs_off, busy, delay, ending, faults_of, joined
from tests.chaos.history import History, states
from tests.chaos.scene import COMFORTABLE, MAX_WAITING, TARGET

FRESH_S = 3 * 0.5 + 0.5
"""A reading counts for three beats, and a decision between two beats goes by what the last one judged."""
LATE_S = 1.5
"""From a decision to the engine's event, or to our reading of it in the log, on a busy machine."""
MAX_BUSY = 2.0
GIVES = re.compile(r"gives \d+ to (\w+), which (comes first|is below its minimum)")
QUEUE = re.compile(r"queue (\d+) of target")
TRIED = re.compile(r"gives \d+ to (\w+), which tries again")
PROVED_S = 5.0
"""What was up for so long has run."""
TOO_MANY = "too many for the cap"
"""One that backs off gets a place again, or one whose containers are still to come was counted without them:
there is one too many for a moment."""
FEWER = "fewer than decided before"
"""A start that was decided has not been asked for yet, and another one takes its place."""
SAME_S = 0.1
"""Between lines of the log that one decision has written."""

QUIET = tuple(str(int(number)) for number in (signal.SIGUSR1, signal.SIGUSR2))
"""Signals that are no stops: they tell a worker to take no new job, or to go on."""

Unread = tuple[float, str]
"""When something was taken without a reading, and what."""


def lowered(history: History) -> Iterator[Unread]:
    """By the agent's log. Giving back takes the very length that the log names, served just before; giving
    way to one that is short, a length of that one that is above its target; and giving way to one that is
    below its minimum, any reading of the two, or none if the giver has no queue. One that is tried again
    after a back-off takes from what has no queue, and from others only if it has never run. Who is too many
    for the cap gives way to a more important one that was raised at the same moment."""
    for happening in history.of("decided"):
        before, after, reason = happening.detail
        if after < before and "backing off" not in reason:
            window_s = _window(history, happening.t) + _frozen(history, happening.t)
            if not _justified(history, happening.task, reason, happening.t, window_s):
                yield happening.t, f"{happening.task} was lowered from {before} to {after}: {reason}"


def _justified(history: History, task: str, reason: str, t: float, window_s: float) -> bool:
    if given := GIVES.match(reason):
        if given[2] == "comes first" and _read(history, given[1], t, window_s, least=TARGET + 1):
            return True
        if given[2] == "comes first" and not _below_minimum(history, (given[1],), t, window_s):
            return False
        return not history.scene.part(task).measured or any(
            _read(history, n, t, window_s) for n in (task, given[1])
        )
    if tried := TRIED.match(reason):
        return _may_be_tried_instead(history, tried[1], task, t)
    if told := QUEUE.match(reason):
        return _read(history, task, t, window_s, least=int(told[1]), most=int(told[1]))
    measured = not history.scene.part(task).measured or _read(history, task, t, window_s)
    other = _makes_way_for_a_try(history, task, t) or _one_was_raised(history, task, t, window_s)
    return (TOO_MANY in reason or FEWER in reason) and measured and other


def _one_was_raised(history: History, task: str, t: float, window_s: float) -> bool:
    """Whether a more important task was, at the same moment and by its own reading."""
    return any(
        h.detail[1] > h.detail[0] and _read(history, h.task, t, window_s, least=TARGET + 1)
        for h in history.of("decided")
        if abs(h.t - t) <= SAME_S and history.scene.part(h.task).priority < history.scene.part(task).priority
    )


def _makes_way_for_a_try(history: History, task: str, t: float) -> bool:
    """Whether somebody else backs off that may be tried in a place of this task."""
    others = [
        part.name for part in history.scene.parts if part.name != task and backs_off(history, part.name, t)
    ]
    return any(_may_be_tried_instead(history, other, task, t) for other in others)


def _may_be_tried_instead(history: History, failing: str, giver: str, t: float) -> bool:
    """A measured task works, and gives nothing to one that fails, unless that has never run since the
    agent's start."""
    if not history.scene.part(giver).measured:
        return True
    up = max((h.t for h in history.of("agent up") if h.t <= t), default=0.0)
    runs = [
        (max(up, state.t), min(t, state.until))
        for state in states(history)
        if state.count(failing) and state.until > up and state.t < t
    ]
    return all(end - begin < PROVED_S for begin, end in joined(runs))


def _frozen(history: History, t: float) -> float:
    """How much earlier it may have been decided than it was logged: an agent may be frozen in between."""
    begins = [
        f.begin
        for f in faults_of(history, "agent")
        if f.kind == "agent frozen" and f.begin <= t <= f.over(history.last) + LATE_S
    ]
    return t - min(begins, default=t)


def stopped(history: History) -> Iterator[Unread]:
    """By the engine's events, which do not say who is given to: the task itself has to be well below its
    target, or a more important one above its own. A stop is a signal 15, and may be tried again."""
    by_hand = {h.id for h in history.of("by hand")}
    asked: set[str] = set()
    for happening in history.of("kill"):
        task, id, t = happening.task, happening.id, happening.t
        if not task or id in by_hand or id in asked or happening.detail in QUIET:
            continue
        asked.add(id)
        if ending(history, t) or backs_off(history, task, t) or _by_the_engine(history, t):
            continue
        window_s = _window(history, t) + delay(history, t, "engine", "link", "agent")
        window_s += history.scene.stops_after_s
        above = [
            part.name for part in history.scene.parts if part.priority < history.scene.part(task).priority
        ]
        if (
            not _read(history, task, t, window_s, most=COMFORTABLE)
            and not any(_read(history, name, t, window_s, least=TARGET + 1) for name in above)
            and not _needed(history, task, t, window_s)
            and not _makes_way_for_a_try(history, task, t)
        ):
            yield t, f"{task} {id[:12]} was stopped"


def _by_the_engine(history: History, t: float) -> bool:
    """It stops everything when it is stopped, and when it starts what ran on without it."""
    restarts = [f for f in faults_of(history, "engine") if f.kind != "engine frozen"]
    return any(f.begin <= t <= f.over(history.last) for f in restarts)


def _window(history: History, t: float) -> float:
    """How old a reading may be when we see what came of it; the agent's own clock is not late."""
    return FRESH_S + LATE_S * min(busy(history, t), MAX_BUSY)


def _read(
    history: History, task: str, t: float, window_s: float, least: int = 0, most: int = MAX_WAITING
) -> bool:
    """Whether its source has answered well just before, with a length in these bounds."""
    times, lengths = _servings(history)[task]
    begin, end = bisect_left(times, t - window_s), bisect_right(times, t + 0.1)
    return any(least <= length <= most for length in lengths[begin:end])


def _needed(history: History, task: str, t: float, window_s: float) -> bool:
    """Whether the task has no queue, and somebody was below the minimum."""
    everyone = tuple(part.name for part in history.scene.parts)
    return not history.scene.part(task).measured and _below_minimum(history, everyone, t, window_s)


def _below_minimum(history: History, names: tuple[str, ...], t: float, window_s: float) -> bool:
    """Whether one of these was, just before."""
    return any(
        state.known and any(state.count(name) < history.scene.part(name).least for name in names)
        for state in states(history)
        if state.until >= t - window_s and state.t <= t
    )


@functools.lru_cache(maxsize=2)
def _servings(history: History) -> dict[str, tuple[list[float], list[int]]]:
    """When each task's source answered well, and with what."""
    found: dict[str, tuple[list[float], list[int]]] = {part.name: ([], []) for part in history.scene.parts}
    for happening in history.of("served"):
        times, lengths = found[happening.task]
        times.append(happening.t)
        lengths.append(happening.detail)
    return found
