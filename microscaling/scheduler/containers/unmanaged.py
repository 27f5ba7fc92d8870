"""Containers with our label that this agent neither created nor adopted at its start."""

from __future__ import annotations

import logging

from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.containers.container import Container, Phase
from microscaling.scheduler.containers.drain_file import Kept
from microscaling.scheduler.containers.freezer import LATE_S, Freezer
from microscaling.scheduler.containers.inventory import Inventory
from microscaling.scheduler.containers.watch import Draining

log = logging.getLogger("mssscheduler")

PAUSES_S = 2.0
"""For this long after the start, a container that was about to be frozen is not told go (seconds)."""
# An engine may carry out a call late, without its agent; agents wait 10 s for an answer. A container that has
# not started after this time is not started any more.
LEFTOVER_S = 15.0
"""For this long after the start (seconds), a created container may come from a call of a killed agent."""


class UnmanagedContainers:
    """Distinguishes a second agent, which holds all tasks, from the remains of an earlier one."""

    def __init__(self, inventory: Inventory, freezer: Freezer) -> None:
        self.inventory = inventory
        self.freezer = freezer
        self.adopted: float | None = None
        """Time of the adoption, the first listing (monotonic seconds)."""
        self.adopts = False
        """As `others_create` in Backend: there is no second agent, and what others start is adopted."""
        self.foreign: set[str] = set()
        self.unstarted: dict[str, tuple[Event, float]] = {}
        """By id, containers created elsewhere that have not started, with the time they were first seen."""
        self.arriving: frozenset[str] = frozenset()
        """Tasks that are about to be added: the next listing shows what there is of them to adopt."""
        self._told: dict[str, tuple[State, Event]] = {}
        """By id, the states from events before the adoption, and the last event: listings may be older."""

    def on_event(self, event: Event, now: float) -> None:
        """Takes an event of a container that the reconciler does not know."""
        adopting = self._is_adopting(event.task)
        if adopting and event.kind in ("start", "die"):
            ended = event.kind == "die" or self._state_told(event.id, State.RUNNING) is State.EXITED
            self._told[event.id] = State.EXITED if ended else State.RUNNING, event
        elif event.kind in ("die", "destroy"):
            self.unstarted.pop(event.id, None)
            self._gone({event.id})
            self.inventory.add_tombstone(event.id)
        elif not adopting and event.id not in self.inventory.tombstones:
            self._appeared(event, now)

    def on_seen(self, seen: ListedContainer, now: float) -> None:
        """Takes an unknown container in a listing."""
        if self._is_adopting(seen.task):
            self._adopt(seen, now)
        elif seen.state not in (State.EXITED, State.UNREAD):
            kind = "start" if seen.state is State.RUNNING else "create"
            self._appeared(Event(kind, seen.id, seen.task, seen.nonce), now)

    def on_listed(self, ids: set[str], now: float) -> None:
        """Takes all ids of a listing, after its containers."""
        self._gone(self.foreign - ids)
        self.arriving = frozenset(name for name in self.arriving if not self.inventory.has(name))
        first, self.adopted = self.adopted is None, now if self.adopted is None else self.adopted
        self._appeared_meanwhile(ids, now)
        if not self.arriving:
            self._told.clear()
        if not first and self.unstarted and not self.foreign - self.unstarted.keys():
            self._clear_up(now)

    def _appeared_meanwhile(self, ids: set[str], now: float) -> None:
        """Takes the containers that have started since the listing was requested, and are not in it."""
        for id, (state, event) in list(self._told.items()):
            if state is State.RUNNING and id not in ids and not self._is_adopting(event.task):
                del self._told[id]
                # Its removal may have been told, too, by an engine that tells of no end before it.
                if id not in self.inventory.tombstones:
                    self._appeared(event, now)

    def _state_told(self, id: str, otherwise: State) -> State:
        return self._told[id][0] if id in self._told else otherwise

    def _is_adopting(self, task: str) -> bool:
        return self.adopted is None or task in self.arriving

    def _clear_up(self, now: float) -> None:
        """Takes over containers that have not started for so long, to remove them."""
        for event, since in list(self.unstarted.values()):
            if now - since >= LEFTOVER_S:
                del self.unstarted[event.id]
                self._gone({event.id})
                self._take(event, Phase.CREATED)

    def _appeared(self, event: Event, now: float) -> None:
        if event.nonce.startswith(self.inventory.instance):
            self._take(event, Phase.CREATED if event.kind == "create" else Phase.RUNNING)
            return
        if self.adopts:
            if event.kind == "start":
                self._adopt_started(event, now)
            return
        if event.kind == "create":
            if event.id not in self.foreign:  # otherwise this event comes late, after its start
                self.unstarted.setdefault(event.id, (event, now))
            if self._just_begun(now):  # probably a late call of a killed agent, see LEFTOVER_S
                return
        else:
            self.unstarted.pop(event.id, None)
        if event.id not in self.foreign:
            if not self.foreign:
                log.error(
                    "%s: container %s has our label but is not ours: a second agent is at work on this "
                    "engine. All tasks are held until its containers are gone; stop one of the two agents",
                    event.task,
                    event.id[:12],
                )
            self.foreign.add(event.id)
            self.inventory.tasks.hold = "a second agent is at work on this engine"

    def _just_begun(self, now: float) -> bool:
        return self.adopted is not None and now - self.adopted < LEFTOVER_S

    def _gone(self, ids: set[str]) -> None:
        if self.foreign & ids:
            self.foreign -= ids
            if not self.foreign:
                self.inventory.tasks.hold = ""
                log.info("the containers of the second agent are gone: tasks are no longer held")

    def _adopt(self, seen: ListedContainer, now: float) -> None:
        """Adopts a container in its present state. Exited ones, and those that never started, go with the
        first decision."""
        state = self._state_told(seen.id, seen.state)
        if state is State.UNREAD:  # one place too many is better than an exceeded cap
            state = State.RUNNING
        # A created one takes a place until then: the last call of a killed agent may have been its start.
        created = state is State.CREATED
        phase = Phase.REMOVING if created else Phase(state.value)
        container = self._take(Event("", seen.id, seen.task, seen.nonce), phase)
        container.may_run = container.may_run or created
        container.unwanted = state is not State.RUNNING
        container.by_others = self.adopts and state is State.EXITED
        container.address = seen.address
        kept = self.inventory.kept.pop(seen.id, None)
        if kept is not None and state is State.RUNNING:
            self._goes_on(container, kept)
        container.restarting = state is State.RUNNING and seen.restarting
        container.version = seen.version
        if state is State.RUNNING and seen.paused:
            self.freezer.adopt(container, kept, now)
        elif kept is not None and kept.frozen is not None:
            # The engine may still carry out the pause of an agent that was killed: no job before that.
            container.late_pause_until = now + LATE_S
            container.handshake.retry_at = now + PAUSES_S

    def _goes_on(self, container: Container, kept: Kept) -> None:
        """Takes over the drain that an earlier agent has begun."""
        container.quieted = kept.since or 0.0 if kept.quieted else None
        # Not as a new drain: its time has run since the earlier agent began it.
        if kept.since is not None and (container.task.drain or container.task.web):
            container.drain, container.unwanted = Draining(kept.since, said=True), True
            log.info(
                "%s: %s %s drains since an earlier agent: it goes on",
                container.task.name, self.inventory.tasks.noun, container.short_id,
            )  # fmt: skip

    def _adopt_started(self, event: Event, now: float) -> None:
        container = self._take(event, Phase.RUNNING)
        container.unwanted, container.stable = False, False
        container.started = container.seen = now
        container.heard = True

    def _nonce(self, event: Event) -> str:
        """Returns a unique key: the nonce, or the id of a container that has a copied nonce."""
        return event.id if event.nonce in self.inventory.by_nonce else event.nonce or event.id

    def _take(self, event: Event, phase: Phase) -> Container:
        """Counts a container as ours from now on, to be removed."""
        container = self.inventory.new(self.inventory.by_name[event.task], self._nonce(event))
        self.inventory.bind(container, event.id)
        self.inventory.touch(container)  # a listing that was requested before does not show it yet
        container.phase = phase
        container.may_run = phase is Phase.RUNNING
        container.unwanted = container.handshake.may_work = True
        return container
