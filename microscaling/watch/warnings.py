"""Warnings of an agent about its own tasks: settings that can hardly be meant so.

Pure: no I/O, no clock, no threads. The caller holds the lock of `Tasks`; times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from microscaling.demand.condition import conditions
from microscaling.demand.obstacle import obstacle, shortage
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.metric.measurement import Measurement
from microscaling.metric.null import NullMetric
from microscaling.utils.text import few, span

BEAT_S = 0.5
AGES = 60
"""Looks of which the mean age of a reading is taken."""
LOOKS = 5
"""Looks in a row that have to find a container at work."""
BUSY_EVERY_S = 10.0
KINDS = ("maximum", "short", "constant", "empty", "slow")

MAXIMUM = (
    "has been at its maximum, {most}, for {span}, and its reading calls for {more} more: raise its "
    "maxContainers, or make its jobs quicker"
)
SHORT = (
    "has had fewer containers than it wants for {span}: {obstacle}: raise the cap, or give it a priority "
    "that goes before others"
)
CONSTANT = (
    "its reading has been {number} for {span}, whatever its containers did: is that the queue that they work "
    "on ({source})? microscaling check asks it now"
)
EMPTY = (
    "its reading has been 0 for {span}, and its containers are at work: is that the queue that they work on "
    "({source})? microscaling check names the queues that are there"
)
SLOW = (
    "its readings are {age:.1f} s old on the average, more than the {beat:g} s between two of them: {source} "
    "answers too slowly: raise intervalSeconds, or ask it for less"
)


@dataclass(frozen=True)
class News:
    """A warning that has come, or is over."""

    task: str
    kind: str
    text: str
    over: bool = False


@dataclass(slots=True)
class _Seen:
    """What is known of one task."""

    since: dict[str, float] = field(default_factory=dict)
    """By kind, since when it has held without a break."""
    reading: tuple[int, ...] = ()
    """The last one; empty: there is none."""
    ages: list[float] = field(default_factory=list)
    busy_looks: int = 0
    look_at: float = float("-inf")
    """The time of the next look at its containers, if it is a suspect."""


class Warnings:
    """The warnings of all tasks: each comes once, when its condition has held for `after_s` seconds, and goes
    with the condition. They stand in `Task.warnings`."""

    def __init__(self, tasks: Tasks, after_s: float) -> None:
        self.tasks = tasks
        self.after_s = after_s
        self._seen: dict[Task, _Seen] = {}

    def look(self, now: float) -> list[News]:
        """Returns the changes since the last look, about a second ago."""
        here = self.tasks.tasks
        # A task that goes takes along what is known of it.
        self._seen = {task: self._seen.get(task) or _Seen() for task in here}
        return [news for task, seen in self._seen.items() for news in self._of(task, seen, now)]

    def suspects(self, now: float) -> list[str]:
        """Returns the tasks with a reading of 0 for so long that their containers are to be looked at."""
        found = []
        for task, seen in self._seen.items():
            if self._is_empty(seen, now) and now >= seen.look_at and task.running > task.stopping:
                seen.look_at = now + BUSY_EVERY_S
                found.append(task.name)
        return found

    def looked(self, name: str, at_work: int | None, now: float) -> None:
        """Takes the number of containers of a suspect that are at work; None: it is not known."""
        for task, seen in self._seen.items():
            if task.name == name:
                seen.busy_looks = seen.busy_looks + 1 if at_work else 0
                # An idle one is the rule, and a look at it costs the engine something.
                if not at_work:
                    seen.look_at = now + self.after_s

    def _of(self, task: Task, seen: _Seen, now: float) -> Iterator[News]:
        self._read(task, seen, now)
        holds = dict(self._holding(task, seen, now))
        before: Mapping[str, str] = task.warnings
        after = dict(before)
        for kind in KINDS:
            if kind not in holds:
                seen.since.pop(kind, None)
                if kind in after:
                    yield News(task.name, kind, after.pop(kind), over=True)
                continue
            since = seen.since.setdefault(kind, now)
            if kind not in after and now - since >= self._patience_s(kind):
                after[kind] = holds[kind]
                yield News(task.name, kind, after[kind])
        if after != before:
            task.warnings = after

    def _patience_s(self, kind: str) -> float:
        # The others count their time by themselves.
        return self.after_s if kind in ("maximum", "short") else 0.0

    def _read(self, task: Task, seen: _Seen, now: float) -> None:
        """Notes the reading, and since when it has been the same."""
        if not _is_read(task):
            seen.reading, seen.ages = (), []
            seen.since.pop("same", None)
            return
        if task.running <= task.stopping:
            seen.since.pop("up", None)
        else:
            seen.since.setdefault("up", now)
        reading = task.metric.measured or task.metric.current
        found = _counts(reading) if isinstance(reading, Measurement) else (reading,)
        if found != seen.reading:
            seen.reading, seen.busy_looks = found, 0
            seen.since["same"] = now
        # The mean, as one old reading is no pattern, and at a look a reading has any age up to a beat.
        seen.ages = [*seen.ages[1 - AGES :], now - (task.measured_at or now)]

    def _holding(self, task: Task, seen: _Seen, now: float) -> Iterator[tuple[str, str]]:
        """Yields the kinds whose conditions hold now, with their texts."""
        if task.override or task.resting or task.backing_off or self.tasks.hold:
            return  # that is shown, and explains it
        source = few([source.name for source in task.metric.sources])
        holds, long = conditions(task, self.tasks), span(self.after_s)
        if holds["maximum"]:
            yield "maximum", MAXIMUM.format(most=task.max_containers, more=shortage(task), span=long)
        elif holds["short"] and not task.held:
            yield "short", SHORT.format(obstacle=obstacle(task, self.tasks), span=long)
        if not _is_read(task):
            return
        if self._is_constant(task, seen, now):
            yield "constant", CONSTANT.format(number=task.metric.current, source=source, span=long)
        if self._is_empty(seen, now) and seen.busy_looks >= LOOKS:
            yield "empty", EMPTY.format(source=source, span=long)
        beat = max(BEAT_S, task.metric.interval_s, task.measured_s if task.metric.pace_s else 0.0)
        mean = sum(seen.ages) / max(1, len(seen.ages))
        if len(seen.ages) == AGES and mean > beat:
            yield "slow", SLOW.format(age=mean, beat=beat, source=source)

    def _is_constant(self, task: Task, seen: _Seen, now: float) -> bool:
        """Whether its reading has not moved, though containers ran all the while."""
        since = max(seen.since.get("same", now), seen.since.get("up", now))
        paused = task.metric.measured is not None and task.metric.measured.paused
        return any(seen.reading) and not paused and now - since >= self.after_s

    def _is_empty(self, seen: _Seen, now: float) -> bool:
        return (
            bool(seen.reading) and not any(seen.reading) and now - seen.since.get("same", now) >= self.after_s
        )


def _is_read(task: Task) -> bool:
    has = task.measured_at is not None and not isinstance(task.metric, NullMetric)
    return has and not task.held and not task.falling_back


def _counts(found: Measurement) -> tuple[int, ...]:
    return found.waiting, found.running or 0, found.stuck
