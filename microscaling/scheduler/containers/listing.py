"""What a listing of the engine's containers changes in a fleet."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from microscaling.scheduler.containers.backend import ListedContainer, State
from microscaling.scheduler.containers.container import Container, Phase
from microscaling.scheduler.containers.event_debt import EventDebt

if TYPE_CHECKING:
    from microscaling.scheduler.containers.reconciler import ContainerReconciler

log = logging.getLogger("mssscheduler")

LATE_S = 10.0
"""No event comes so late that it speaks of what had gone from listings before that."""


class Listing:
    """Compares listings with the fleet. A listing is older than events: it changes no container that
    had an event or an operation since it was asked for."""

    def __init__(self, reconciler: ContainerReconciler, engine: str = "engine") -> None:
        self.reconciler = reconciler
        self.engine = engine
        """Its name, for the log."""
        self.debt = EventDebt()
        self._missed = False
        self._applied: deque[tuple[float, int]] = deque()
        """When the listings of the last 10 s were taken in, and what they had been asked at."""

    def ask(self) -> int:
        """Call before asking the engine; `apply` wants the answer."""
        return self.reconciler.touches

    def apply(self, asked: int, listed: Sequence[ListedContainer], now: float) -> None:
        """Takes in what the engine answered, and plans anew."""
        reconciler = self.reconciler
        adopting = reconciler.unmanaged.adopted is None
        known = list(reconciler.all())
        ours = [seen for seen in listed if seen.task in reconciler.by_name]
        unread = {seen.id for seen in listed if seen.state is State.UNREAD}
        present: set[Container] = set()
        for seen in sorted(ours, key=lambda s: s.created):
            container = reconciler.find(seen.id, seen.nonce)
            if container is not None:
                present.add(container)
                self._compare(container, seen, asked, now)
            elif reconciler.tombstones.get(seen.id, -1) <= asked:
                reconciler.unmanaged.on_seen(seen, now)
        for container in known:
            if container not in present and container.touched <= asked and not unread & {container.id, ""}:
                self._missing(container, now)
        reconciler.unmanaged.on_listed({seen.id for seen in ours} | unread, now)
        self._forget_gone(asked, now)
        if adopting:
            for task in reconciler.tasks.tasks:
                task.demand = sum(1 for c in reconciler.containers[task.name] if c.wanted)
        reconciler.away = False
        reconciler.answered = now
        self._missed = False
        reconciler.reconcile(now)

    def heard(self, id: str, kind: str) -> None:
        """The event stream has told of it."""
        self.debt.told(id, kind)
        self.reconciler.deaf = self.debt.deaf

    def stream_is_broken(self, now: float) -> bool:
        """Whether the stream has owed us events for more than 10 s, and may tell them if it is opened anew.
        Asked once, it starts afresh."""
        broken = self.debt.is_broken(now, self.engine)
        self.reconciler.deaf = self.debt.deaf
        return broken

    def reopened(self, ended: float, by_us: bool = False) -> None:
        """A new stream owes us nothing of what happened before it; the last one ended at `ended`. Unless
        that was our doing, the engine may have been away, and containers may have ended with it."""
        self.debt.clear(not by_us)
        self.reconciler.deaf = self.debt.deaf
        if not by_us:
            self.reconciler.ends.excuse()
            self.reconciler.crash_backoffs.excuse(ended)

    def missed(self) -> None:
        """We have been asleep, and an engine keeps only so many events for who does not read them: what the
        next listing shows is owed by nobody, and until then nothing is known to run on."""
        self._missed = True
        for container in self.reconciler.all():
            container.heard = False

    def _compare(self, container: Container, seen: ListedContainer, asked: int, now: float) -> None:
        if container.touched > asked or seen.state is State.UNREAD:
            return
        reconciler = self.reconciler
        if not container.id:
            reconciler.bind(container, seen.id)
        phase = container.phase
        if seen.state is State.RUNNING:
            container.seen = now
            if phase in (Phase.CREATING, Phase.CREATED, Phase.STARTING):
                self._silent(container, "start", now)
                reconciler.started(container, now)
            elif phase in (Phase.EXITED, Phase.REMOVING) and not container.busy:
                reconciler.started(container, now)  # a start that was not answered has been carried out late
            reconciler.paused.note(container, seen.paused)
        elif seen.state is State.EXITED:
            if phase not in (Phase.EXITED, Phase.REMOVING):
                self._silent(container, "die", now)
                container.exit_code = seen.exit_code
            code = "" if seen.exit_code is None else f" with code {seen.exit_code}"
            reconciler.ended(container, f"had ended{code}", now, reconciler.alive_at(container, now))
        elif phase is Phase.CREATING and not container.busy:
            container.phase = Phase.CREATED
        elif phase in (Phase.RUNNING, Phase.STOPPING) and not container.busy:
            # An engine that is killed while it starts a container calls it created when it is back, though
            # the container has run: it does not any more.
            container.signalled = True
            reconciler.ended(container, "does not run: the engine knows of no start", now)
        if not container.busy:
            container.unknown = False

    def _missing(self, container: Container, now: float) -> None:
        """The engine does not have it."""
        if container.busy:
            return
        if container.id:
            self._silent(container, "destroy", now)
            container.signalled = True
            self.reconciler.ended(container, "had been removed", now)
        if container.id or container.unknown:
            self.reconciler.forget(container)

    def _forget_gone(self, asked: int, now: float) -> None:
        """Forgets what has gone, once no event can be so late that it speaks of it."""
        self._applied.append((now, asked))
        known = -1
        while self._applied and now - self._applied[0][0] >= LATE_S:
            known = self._applied.popleft()[1]
        gone = self.reconciler.tombstones
        self.reconciler.tombstones = {id: touch for id, touch in gone.items() if touch > known}

    def _silent(self, container: Container, kind: str, now: float) -> None:
        if not container.unknown and not container.busy and not self._missed:
            self.debt.owe(container.id, kind, now)
