"""Containers with our label of tasks that are not in the configuration: logged, counted, and stopped if
configured.

No I/O but in `look` and in the stopping threads: for all other calls the caller holds the lock of `Tasks`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from microscaling.demand.tasks import Tasks
from microscaling.errors import MicroscalingError
from microscaling.scheduler.containers.backend import Backend, ListedContainer, Origin, State
from microscaling.utils.pool import Pool
from microscaling.utils.text import one_line, quoted

log = logging.getLogger("mssscheduler")

PATIENCE_S = 10.0
"""Seconds from the first sight of one to its stop: an agent that is just starting may claim its task."""
GRACE_S = 10.0
"""Seconds from SIGTERM to SIGKILL, as in `docker stop`: the grace of its task is unknown."""
RETRY_DELAY_S = 30.0
STOPPERS = 4
COUNTED = (Origin.EARLIER, Origin.UNSURE, Origin.UNSIGNED)
"""The origins that count under the cap: containers of any other agent count under its own cap."""
WHY_KEPT = {
    Origin.UNSIGNED: "no agent's id is on them, so another agent may be at work on them",
    Origin.UNSURE: "another agent may have taken over that task, which cannot be checked now",
    Origin.ENDED: "another agent made them, which has ended and may be started again: they do not count here",
    Origin.OTHER: "another agent made them, which may be at work: they do not count here",
    Origin.LIVES: "another agent that is at work has this task: they do not count here",
}
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Group:
    """The containers of one task with the same origin."""

    task: str
    origin: Origin
    seen: tuple[ListedContainer, ...]

    @property
    def running(self) -> int:
        """Number of containers that take a place."""
        return sum(1 for one in self.seen if one.state not in (State.CREATED, State.EXITED))


class Orphans:
    """Tracks orphans from one listing to the next. With `stop`, those of an earlier life of this agent are
    stopped, and no others."""

    def __init__(self, backend: Backend, tasks: Tasks, stop: bool) -> None:
        self.backend = backend
        self.tasks = tasks
        self.stops = stop
        self.names = frozenset(task.name for task in tasks.tasks)
        self.pool: Pool[ListedContainer] = Pool("mss-orphans", STOPPERS, self._end)
        self._groups: list[Group] = []
        self._since: dict[str, float] = {}
        """By id, the time it was first seen, monotonic seconds."""
        self._due: dict[str, float] = {}
        """By id, the time of the next attempt to stop it; infinite while one is under way."""
        self._said: dict[tuple[str, Origin], None] = {}
        self._unsigned: set[str] | None = None
        """The ids without an agent's id in the first listing; None before it."""
        self._made_now: set[str] = set()
        """Tasks of which more such containers have appeared since: their agent is active."""

    def look(self, listed: Iterable[ListedContainer]) -> list[Group]:
        """Returns the orphans in a listing. Calls the backend, so the caller must not hold the lock."""
        found = [seen for seen in listed if seen.task and seen.task not in self.names]
        origins = self.backend.origins(found) if found else []
        groups: dict[tuple[str, Origin], list[ListedContainer]] = {}
        for seen, origin in zip(found, origins, strict=True):
            groups.setdefault((seen.task, origin), []).append(seen)
        return [
            Group(task, origin, tuple(seen)) for (task, origin), seen in sorted(groups.items(), key=_first)
        ]

    def apply(self, groups: Sequence[Group], may_stop: bool, now: float, known: Container[str] = ()) -> None:
        """Takes over the result of `look`: logs new groups, counts, and stops containers if allowed.
        `known`: ids of containers of a task that is just gone which are still to be ended, such as frozen
        ones: none of them counts here."""
        # Else it would have two places while it ends, and a frozen one, which has none, would have one.
        groups = [
            Group(group.task, group.origin, tuple(seen for seen in group.seen if seen.id not in known))
            for group in groups
        ]
        self._groups = [self._judged(group) for group in groups if group.seen]
        present = {seen.id for group in groups for seen in group.seen}
        self._since = {id: self._since.get(id, now) for id in present}
        self._due = {id: due for id, due in self._due.items() if id in present}
        if self._unsigned is None:
            self._unsigned = {s.id for g in groups if g.origin is Origin.UNSIGNED for s in g.seen}
        self._count()
        for group in self._groups:
            if (group.task, group.origin) not in self._said:
                self._say(group)
        # A group that is gone and comes back is logged again.
        self._said = dict.fromkeys((group.task, group.origin) for group in self._groups)
        if self.stops and may_stop:
            self._stop(now)

    def gone(self, id: str) -> bool:
        """Takes the end of a container. Returns True if that frees a place."""
        before = self.tasks.outside
        self._groups = [
            Group(group.task, group.origin, tuple(seen for seen in group.seen if seen.id != id))
            for group in self._groups
        ]
        self._count()
        return self.tasks.outside != before

    def _judged(self, group: Group) -> Group:
        """Corrects the origin of containers without an agent's id, such as the Go agent's."""
        if group.origin is not Origin.UNSIGNED:
            return group
        # Only new containers show that an agent without an id is still active.
        if self._unsigned is not None and not self._unsigned.issuperset(s.id for s in group.seen):
            self._made_now.add(group.task)
        return Group(group.task, Origin.LIVES, group.seen) if group.task in self._made_now else group

    def _count(self) -> None:
        """Updates the number of their places, and the sentence about them for a person."""
        counted = [group for group in self._groups if group.origin in COUNTED]
        outside = sum(group.running for group in counted)
        named = [
            f"{g.running} of {quoted(g.task)} (`{self._command(g)}` ends them)" for g in counted if g.running
        ]
        more = f" and of {len(named) - MAX_NAMED} more tasks" if len(named) > MAX_NAMED else ""
        text = ", ".join(named[:MAX_NAMED]) + more
        self.tasks.orphans = (
            f"{self.tasks.nouns} of tasks that are not in the configuration: {text}" if text else ""
        )
        # An event wakes the engine, as the cap of its tasks has changed.
        if outside != self.tasks.outside:
            self.tasks.outside = outside
            self.tasks.changed.set()

    def _command(self, group: Group) -> str:
        return one_line(self.backend.end_command(group.task, group.seen))

    def _say(self, group: Group) -> None:
        if not group.running:
            return
        what = f"{group.running} running, of the task {quoted(group.task)} that is not in the configuration"
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
        """Stops one and removes it, in a thread of the pool."""
        error: Exception | None = None
        try:
            if seen.state is not State.EXITED:
                self.backend.stop(seen.id, GRACE_S)
            self.backend.remove(seen.id)
        except MicroscalingError as failed:
            error = failed
        except Exception as failed:  # would end the thread, and with it the agent
            log.exception("%s: stopping %s", seen.task, seen.id[:12])
            error = failed
        with self.tasks:
            self._due[seen.id] = time.monotonic() + RETRY_DELAY_S
        if error is None:
            log.info("%s: %s %s of an earlier configuration is stopped",
                     quoted(seen.task), self.tasks.noun, seen.id[:12])  # fmt: skip
        else:
            log.warning("%s: cannot stop %s %s of an earlier configuration: %s; trying again",
                        quoted(seen.task), self.tasks.noun, seen.id[:12], str(error))  # fmt: skip


def _first(item: tuple[tuple[str, Origin], list[ListedContainer]]) -> tuple[str, str]:
    return item[0][0], item[0][1].value
