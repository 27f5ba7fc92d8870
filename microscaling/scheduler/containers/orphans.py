"""Containers with our label whose task the configuration does not have: named, counted, stopped if asked to.

No I/O but in `look` and in the threads that stop: whoever calls the rest holds the lock of `Tasks`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from microscaling.demand.tasks import Tasks
from microscaling.errors import MicroscalingError
from microscaling.scheduler.containers.backend import Backend, ListedContainer, Origin, State
from microscaling.utils.pool import Pool
from microscaling.utils.text import one_line, quoted

log = logging.getLogger("mssscheduler")

PATIENCE_S = 10.0
"""From when one is first seen until it is stopped: an agent that is just starting may claim its task."""
GRACE_S = 10.0
"""From SIGTERM to SIGKILL, as `docker stop` has it: how long its task was given is not known any more."""
AGAIN_S = 30.0
STOPPERS = 4
COUNTED = (Origin.EARLIER, Origin.UNSURE, Origin.UNSIGNED)
"""The others are no earlier life's of this agent: their agent has a cap of its own."""
WHY_KEPT = {
    Origin.UNSIGNED: "no agent's id is on them, so nobody can say whether another agent is at work on them",
    Origin.UNSURE: "nobody can say just now whether another agent has taken over that task",
    Origin.ENDED: "another agent made them, which has ended and may be started again: they do not count here",
    Origin.OTHER: "another agent made them, which may be at work: they do not count here",
    Origin.LIVES: "another agent that is at work has this task: they do not count here",
}
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Group:
    """The containers of one task, all of one origin."""

    task: str
    origin: Origin
    seen: tuple[ListedContainer, ...]

    @property
    def running(self) -> int:
        """How many take a place."""
        return sum(1 for one in self.seen if one.state not in (State.CREATED, State.EXITED))


class Orphans:
    """Keeps track of them from one listing to the next. With `stop`, those that an earlier life of this
    agent made are stopped; no others ever are."""

    def __init__(self, backend: Backend, tasks: Tasks, stop: bool) -> None:
        self.backend = backend
        self.tasks = tasks
        self.stops = stop
        self.names = frozenset(task.name for task in tasks.tasks)
        self.pool: Pool[ListedContainer] = Pool("mss-orphans", STOPPERS, self._end)
        self._groups: list[Group] = []
        self._since: dict[str, float] = {}
        """By id, when it was first seen, monotonic seconds."""
        self._due: dict[str, float] = {}
        """By id, when it may be asked to stop again; infinite while that is under way."""
        self._said: dict[tuple[str, Origin], None] = {}
        self._unsigned: set[str] | None = None
        """The ids that the first listing had without an agent's id; None: there was none yet."""
        self._made_now: set[str] = set()
        """Tasks of which more such have appeared since: whoever makes them is at work."""

    def look(self, listed: Iterable[ListedContainer]) -> list[Group]:
        """What a listing has of tasks that are not ours. Asks the backend: call it without the lock."""
        found = [seen for seen in listed if seen.task and seen.task not in self.names]
        origins = self.backend.origins(found) if found else []
        groups: dict[tuple[str, Origin], list[ListedContainer]] = {}
        for seen, origin in zip(found, origins, strict=True):
            groups.setdefault((seen.task, origin), []).append(seen)
        return [
            Group(task, origin, tuple(seen)) for (task, origin), seen in sorted(groups.items(), key=_first)
        ]

    def apply(self, groups: Sequence[Group], may_stop: bool, now: float) -> None:
        """Takes over what `look` has found: says what is new, counts, and stops what may be stopped."""
        self._groups = [self._judged(group) for group in groups]
        present = {seen.id for group in groups for seen in group.seen}
        self._since = {id: self._since.get(id, now) for id in present}
        self._due = {id: due for id, due in self._due.items() if id in present}
        if self._unsigned is None:
            self._unsigned = {s.id for g in groups if g.origin is Origin.UNSIGNED for s in g.seen}
        self._count()
        for group in self._groups:
            if (group.task, group.origin) not in self._said:
                self._say(group)
        self._said = dict.fromkeys((group.task, group.origin) for group in self._groups)
        if self.stops and may_stop:
            self._stop(now)

    def gone(self, id: str) -> bool:
        """One has ended, as an event tells. Returns whether that frees a place."""
        before = self.tasks.outside
        self._groups = [
            Group(group.task, group.origin, tuple(seen for seen in group.seen if seen.id != id))
            for group in self._groups
        ]
        self._count()
        return self.tasks.outside != before

    def _judged(self, group: Group) -> Group:
        """Nothing but new ones shows that whoever gives no id, as the Go agent, is still at work."""
        if group.origin is not Origin.UNSIGNED:
            return group
        if self._unsigned is not None and not self._unsigned.issuperset(s.id for s in group.seen):
            self._made_now.add(group.task)
        return Group(group.task, Origin.LIVES, group.seen) if group.task in self._made_now else group

    def _count(self) -> None:
        """Writes down how many places they take, and what a person should know of them."""
        counted = [group for group in self._groups if group.origin in COUNTED]
        outside = sum(group.running for group in counted)
        named = [
            f"{g.running} of {quoted(g.task)} (`{self._command(g)}` ends them)" for g in counted if g.running
        ]
        more = f" and of {len(named) - MAX_NAMED} more tasks" if len(named) > MAX_NAMED else ""
        text = ", ".join(named[:MAX_NAMED]) + more
        self.tasks.orphans = (
            f"{self.tasks.nouns} of tasks that the configuration does not have: {text}" if text else ""
        )
        if outside != self.tasks.outside:
            self.tasks.outside = outside
            self.tasks.changed.set()

    def _command(self, group: Group) -> str:
        return one_line(self.backend.end_command(group.task, group.seen))

    def _say(self, group: Group) -> None:
        if not group.running:
            return
        what = (
            f"{group.running} running, of the task {quoted(group.task)} that the configuration does not have"
        )
        if group.origin is Origin.LIVES:
            log.info("%s: %s", what, WHY_KEPT[group.origin])
            return
        end = f"`{self._command(group)}` ends them"
        if group.origin in COUNTED:
            places = f"they take {group.running} of the {self.tasks.cap} places under the cap"
            if group.origin is Origin.EARLIER:
                why = "MSS_ORPHANS=stop: they are stopped" if self.stops else "MSS_ORPHANS=keep: they stay"
            else:
                why = f"they stay, as {WHY_KEPT[group.origin]}"
            log.warning("%s: %s, and %s meanwhile; %s", what, why, places, end)
        else:
            log.info("%s: %s; if that agent is gone for good, %s", what, WHY_KEPT[group.origin], end)

    def _stop(self, now: float) -> None:
        for group in self._groups:
            if group.origin is not Origin.EARLIER:
                continue
            for seen in group.seen:
                due = max(self._since[seen.id] + PATIENCE_S, self._due.get(seen.id, 0.0))
                if now >= due:
                    self._due[seen.id] = float("inf")
                    self.pool.submit(seen)

    def _end(self, seen: ListedContainer) -> None:
        """In a thread of the pool: stops one, and removes it."""
        error: Exception | None = None
        try:
            if seen.state is not State.EXITED:
                self.backend.stop(seen.id, GRACE_S)
            self.backend.remove(seen.id)
        except MicroscalingError as failed:
            error = failed
        except Exception as failed:
            log.exception("%s: stopping %s", seen.task, seen.id[:12])
            error = failed
        with self.tasks:
            self._due[seen.id] = time.monotonic() + AGAIN_S
        if error is None:
            log.info("%s: %s %s of an earlier configuration is stopped",
                     quoted(seen.task), self.tasks.noun, seen.id[:12])  # fmt: skip
        else:
            log.warning("%s: cannot stop %s %s of an earlier configuration: %s; trying again",
                        quoted(seen.task), self.tasks.noun, seen.id[:12], str(error))  # fmt: skip


def _first(item: tuple[tuple[str, Origin], list[ListedContainer]]) -> tuple[str, str]:
    return item[0][0], item[0][1].value
