"""The effect of a listing on the reconciler."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from microscaling.demand import limits
from microscaling.scheduler.containers.backend import ListedContainer, State
from microscaling.scheduler.containers.container import COLD, Container, Phase
from microscaling.scheduler.containers.event_debt import EventDebt

if TYPE_CHECKING:
    from microscaling.scheduler.containers.reconciler import ContainerReconciler

LATE_S = 10.0
"""Maximum delay of an event (seconds); then a tombstone is dropped."""


class Listing:
    """Compares listings with the known containers. A listing may be older than events, so it changes no
    container that had an event or an operation since the listing was requested."""

    def __init__(self, reconciler: ContainerReconciler, engine: str = "engine") -> None:
        self.reconciler = reconciler
        self.engine = engine
        """The engine's name, for the log."""
        self.debt = EventDebt()
        self._missed = False
        self._applied: deque[tuple[float, int]] = deque()
        """The listings of the last 10 s: the time of each, and the generation at its request."""

    def ask(self) -> int:
        """Returns the generation for `apply`; called before the request."""
        return self.reconciler.touches

    def apply(self, asked: int, listed: Sequence[ListedContainer], now: float) -> None:
        """Takes over a listing requested at generation `asked`, and reconciles."""
        reconciler = self.reconciler
        arriving = reconciler.unmanaged.arriving
        adopting = reconciler.unmanaged.adopted is None
        known = list(reconciler.all())
        ours = [seen for seen in listed if seen.task in reconciler.by_name]
        unread = {seen.id for seen in listed if seen.state is State.UNREAD}
        present: set[Container] = set()
        # In order of creation, as the newest of the adopted containers are stopped first.
        for seen in sorted(ours, key=lambda s: s.created):
            container = reconciler.find(seen.id, seen.nonce)
            if container is not None:
                present.add(container)
                self._compare(container, seen, asked, now)
            elif reconciler.has(seen.task) and reconciler.tombstones.get(seen.id, -1) <= asked:
                reconciler.unmanaged.on_seen(seen, now)
        # An invalid entry without an id may be any container, so then none counts as missing.
        for container in known:
            if container not in present and container.touched <= asked and not unread & {container.id, ""}:
                self._missing(container, now)
        reconciler.unmanaged.on_listed({seen.id for seen in ours} | unread, now)
        self._forget_gone(asked, now)
        for task in reconciler.tasks.tasks:
            if adopting or task.name in arriving:
                limits.adopt(task, sum(1 for c in reconciler.containers[task.name] if c.wanted))
        reconciler.away = False
        reconciler.answered = now
        self._missed = False
        reconciler.reconcile(now)

    def heard(self, id: str, kind: str) -> None:
        """Notes an event from the stream."""
        self.debt.told(id, kind)
        self.reconciler.deaf = self.debt.deaf

    def stream_is_broken(self, now: float) -> bool:
        """True, once, if the stream has lacked events for more than 10 s and should be reopened."""
        broken = self.debt.is_broken(now, self.engine)
        self.reconciler.deaf = self.debt.deaf
        return broken

    def reopened(self, ended: float, by_us: bool = False) -> None:
        """Takes a new stream; the last one ended at `ended` (monotonic seconds)."""
        self.debt.clear(not by_us)
        self.reconciler.deaf = self.debt.deaf
        # A stream that ended by itself: the engine may have been away, and containers ended with it.
        if not by_us:
            self.reconciler.ends.excuse()
            self.reconciler.crash_backoffs.excuse(ended)

    def missed(self) -> None:
        """Takes a pause of the agent itself."""
        # An engine keeps only so many events for a slow reader. So the changes in the next listing are not
        # the stream's fault, and until then no container is known to run on.
        self._missed = True
        for container in self.reconciler.all():
            container.heard = False

    def _compare(self, container: Container, seen: ListedContainer, asked: int, now: float) -> None:
        container.name = seen.name or container.name
        container.address = seen.address or container.address
        if seen.healthy is not None:
            container.healthy = container.healthy or seen.healthy
        if container.touched > asked or seen.state is State.UNREAD:
            return
        reconciler = self.reconciler
        if not container.id:
            reconciler.bind(container, seen.id)
        phase = container.phase
        if seen.state is State.RUNNING:
            self._runs(container, seen, now)
        elif seen.state is State.EXITED:
            if phase not in (Phase.EXITED, Phase.REMOVING):
                self._silent(container, "die", now)
                container.exit_code = seen.exit_code
            if seen.removing:
                container.start_unconfirmed = False
            code = "" if seen.exit_code is None else f" with code {seen.exit_code}"
            reconciler.ended(container, f"had ended{code}", now, reconciler.alive_at(container, now))
        elif phase is Phase.CREATING and not container.busy:
            container.phase = Phase.CREATED
        elif phase in (Phase.RUNNING, Phase.STOPPING) and not container.busy:
            # An engine that is killed during a start lists the container as created afterwards, although it
            # has run. Now it does not run.
            container.signalled = True
            reconciler.ended(container, "does not run: the engine knows of no start", now)
        if not container.busy:
            container.unknown = False

    def _runs(self, container: Container, seen: ListedContainer, now: float) -> None:
        reconciler, phase = self.reconciler, container.phase
        if container.busy and phase in COLD:
            return
        if phase is Phase.REMOVING and container.frozen_since is not None and not container.busy:
            reconciler.freezer.remains(container)
            return
        alive, container.seen = reconciler.alive_at(container, now), now
        if phase in (Phase.CREATING, Phase.CREATED, Phase.STARTING) or (
            container.restarting and not seen.restarting
        ):
            self._silent(container, "start", now)
            reconciler.started(container, now)
        elif phase in (Phase.EXITED, Phase.REMOVING) and not container.busy:
            reconciler.started(container, now)  # an unanswered start was carried out late
            container.unwanted = container.unwanted and not reconciler.unmanaged.adopts
        if seen.restarting:
            reconciler.ends.restarts(container, "had ended", alive, now)
        reconciler.freezer.seen(container, seen.paused, now)

    def _missing(self, container: Container, now: float) -> None:
        """Takes a known container that is not in the listing."""
        if container.busy:
            return
        if container.id:
            self._silent(container, "destroy", now)
            container.signalled = True  # killed by the removal, so it has not failed
            self.reconciler.ended(container, "had been removed", now)
        if container.id or container.unknown:
            self.reconciler.forget(container)

    def _forget_gone(self, asked: int, now: float) -> None:
        """Drops the tombstones of containers that no late event can concern any more."""
        self._applied.append((now, asked))
        known = -1
        while self._applied and now - self._applied[0][0] >= LATE_S:
            known = self._applied.popleft()[1]
        gone = self.reconciler.tombstones
        self.reconciler.tombstones = {id: touch for id, touch in gone.items() if touch > known}

    def _silent(self, container: Container, kind: str, now: float) -> None:
        if not container.unknown and not container.busy and not self._missed:
            self.debt.owe(container.id, kind, now)
