"""The containers of services: which are Compose's, how they stand, and by whose doing.

No I/O. Thread-safe. Times are monotonic seconds.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from microscaling.clients.docker.compose import config_of, is_copy, number_of

GIVEN_BACK_S = 3.0
"""Longest time from the end of a container to the moment when it may be started again."""
COPIES = 1_000_000
"""Added to the number of a copy: copies go before Compose's own containers."""
LATE_S = 5.0
"""An event may come so long after the call that caused it."""
STOPPED = (0, 137, 143, None)
"""Exit codes with which a container may have been stopped by somebody before the agent came."""
CAUSES = {
    "create": ("create",),
    "start": ("start",),
    "stop": ("kill", "die"),
    "remove": ("kill", "die", "destroy"),
}
"""By call, the events that it causes."""


class State(Enum):
    """The state of a container in a listing."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Found:
    """A container in a listing."""

    task: str
    labels: Mapping[str, Any]
    state: State
    exit_code: int | None = None


@dataclass(slots=True)
class Known:
    """One container."""

    task: str
    number: int
    copy: bool
    key: tuple[str, str]
    """The configuration that it is made from, which only Compose can compare with its file."""
    running: bool = False
    condemned_until: float = 0.0
    """Somebody asked it to end: until then it is no model for a copy."""
    stopped: bool = False
    """It is somebody else's to start: Compose has stopped it, or is about to start it."""
    held: bool = False
    """The reconciler knows it: it cannot stand for a new one before it was given back."""
    lent: str = ""
    """The nonce of the create that it has answered: it is to be started again."""

    @classmethod
    def of(cls, task: str, labels: Mapping[str, Any]) -> Known:
        """Returns a new one, from its labels."""
        return cls(task, number_of(labels), is_copy(labels), config_of(labels))


@dataclass(slots=True)
class Policy:
    """The part of a service that decides about the ends of its containers."""

    stop_signals: frozenset[str] = frozenset({"15"})
    grace_s: float = 10.0
    restart: str = "no"

    @classmethod
    def of(cls, inspected: Mapping[str, Any]) -> Policy:
        """Returns that of an inspected container."""
        config = inspected["Config"]
        name = str(config.get("StopSignal") or "SIGTERM").upper()
        known = signal.Signals.__members__.get(name if name.startswith("SIG") else f"SIG{name}")
        timeout = config.get("StopTimeout")
        restart = (inspected["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no"
        number = str(known.value) if known else name
        return cls(frozenset({"15", number}), 10.0 if timeout is None else float(timeout), str(restart))

    def restarts(self, exit_code: str) -> bool:
        """True if the engine itself starts a container again after this end."""
        return self.restart in ("always", "unless-stopped") or (
            self.restart == "on-failure" and exit_code != "0"
        )


@dataclass(frozen=True, slots=True)
class Effect:
    """The meaning of an event."""

    foreign: bool = False
    """Somebody else has caused it, as Compose does."""
    restarts: bool = False
    """The container has ended, and the engine itself starts it again."""


@dataclass(slots=True)
class Calls:
    """The calls of the agent for each container, so that their events are not taken for somebody else's."""

    under_way: dict[tuple[str, str], float] = field(default_factory=dict)
    """By id and call, the time of its end; infinite before."""

    def caused(self, id: str, kind: str, now: float) -> bool:
        """True if an event comes from a call of ours."""
        self.under_way = {call: end for call, end in self.under_way.items() if now - end < LATE_S}
        return any(of == id and kind in CAUSES[call] for of, call in self.under_way)


class Originals:
    """All containers of the tasks, as far as listings, events and our own calls have shown them."""

    def __init__(self, ours: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._given_back = threading.Condition(self._lock)
        self._known: dict[str, Known] = {}
        self._ours = set(ours)
        """Ids of Compose's containers that the agent itself has stopped: it may start them again."""
        self._calls = Calls()
        self._listed: frozenset[str] = frozenset()
        """Tasks that were there at the last listing."""
        self.policies: dict[str, Policy] = {}
        """By task."""
        self.consent: frozenset[str] = frozenset()
        """Tasks that may have no container at all, so a stopped one may well be our doing."""

    @property
    def ours(self) -> list[str]:
        """Ids of the containers that the agent has stopped and that Compose has made."""
        with self._lock:
            return sorted(self._ours)

    def begins(self, id: str, call: str) -> None:
        """Takes the beginning of a call: `start`, `stop` or `remove`."""
        with self._lock:
            # An event that is late by now would be that of the call before.
            self._calls.under_way = {of: end for of, end in self._calls.under_way.items() if of[0] != id}
            self._calls.under_way[id, call] = float("inf")
            known = self._known.get(id)
            if call == "stop" and known is not None and not known.copy:
                self._ours.add(id)

    def ends(self, id: str, call: str, now: float) -> None:
        """Takes the end of a call."""
        with self._lock:
            self._calls.under_way[id, call] = now

    def started(self, id: str) -> None:
        """Takes the success of a start."""
        with self._lock:
            self._runs(id)

    def grace_s(self, id: str, default: float) -> float:
        """Returns the seconds that a container has for its end."""
        with self._lock:
            known = self._known.get(id)
            policy = self.policies.get(known.task) if known else None
            return policy.grace_s if policy else default

    def is_original(self, id: str) -> bool:
        """True for a container that Compose has made, as far as is known."""
        with self._lock:
            known = self._known.get(id)
            return known is not None and not known.copy

    def rank(self, id: str) -> int | None:
        """Returns the place in the order of stops: the highest goes first. None if it is not known."""
        with self._lock:
            known = self._known.get(id)
            return None if known is None else known.number + COPIES * known.copy

    def created(self, id: str, task: str, labels: Mapping[str, Any]) -> None:
        """Takes the success of a create."""
        with self._lock:
            self._known.setdefault(id, Known.of(task, labels))

    def lend(self, task: str, nonce: str) -> str:
        """Returns the id of a stopped container of Compose's that may be started; "" if there is none. Waits
        a little for one that has only just ended."""
        deadline = time.monotonic() + GIVEN_BACK_S
        with self._lock:
            while True:
                ended = [
                    (known.held, known.number, id)
                    for id, known in self._known.items()
                    if known.task == task and not known.copy and not known.lent and self._may_start(id, known)
                ]
                held, _, id = min(ended, default=(False, 0, ""))
                if not held:
                    if id:
                        self._known[id].lent = nonce
                    return id
                if not self._given_back.wait(deadline - time.monotonic()):
                    return ""

    def give_back(self, id: str) -> None:
        """Takes the removal of a container, which for Compose's own means only that it is not needed now."""
        with self._lock:
            if id in self._known:
                self._known[id].lent, self._known[id].held = "", False
                self._given_back.notify_all()

    def lent(self, id: str) -> str:
        """Returns the nonce of the create that a container has answered; "" if there is none."""
        with self._lock:
            known = self._known.get(id)
            return known.lent if known else ""

    def models(self, task: str, now: float) -> list[str]:
        """Returns the ids of the containers that may be copied, the best first."""
        with self._lock:
            well = [
                (not known.running, known.number, id)
                for id, known in self._known.items()
                if known.task == task and not known.copy and self._is_well(id, known, now)
            ]
        return [id for *_, id in sorted(well)]

    def resting(self, now: float) -> set[str]:
        """Returns the tasks whose containers of Compose's were all stopped, or removed, by somebody else."""
        with self._lock:
            tasks = {known.task for known in self._known.values()} | set(self.policies)
            well = {k.task for id, k in self._known.items() if not k.copy and self._is_well(id, k, now)}
            return tasks - well

    def stale(self, task: str) -> list[str]:
        """Returns the ids of running copies of another configuration than the newest of Compose's has."""
        with self._lock:
            of_task = {id: known for id, known in self._known.items() if known.task == task and known.running}
            keys = {known.key for known in of_task.values() if not known.copy}
            return [id for id, known in of_task.items() if known.copy and keys and known.key not in keys]

    def listed(self, found: Mapping[str, Found], tasks: frozenset[str]) -> list[str]:
        """Takes a listing of the containers of these tasks; those that are not in it are gone. Returns the
        ids of those that Compose has made since the last one."""
        with self._lock:
            new = [id for id in found if id not in self._known]
            before, self._listed = self._listed, tasks
            self._known = {id: known for id, known in self._known.items() if id in found}
            self._ours &= found.keys()
            for id, seen in found.items():
                known = self._known.setdefault(id, Known.of(seen.task, seen.labels))
                if seen.state is State.RUNNING:
                    self._runs(id)
                    continue
                known.running = False
                # What it finds of a new task, the reconciler takes over in any state.
                known.held = known.held or (seen.task not in before and seen.state is State.EXITED)
                if id in new and id not in self._ours and not known.copy:
                    known.stopped = self._is_somebodys(seen)
            return [id for id in new if not self._known[id].copy]

    def event(
        self, id: str, kind: str, task: str, labels: Mapping[str, Any], detail: str, now: float, mine: bool
    ) -> Effect:
        """Takes an event; `detail` is the number of a signal or an exit code. `mine`: our own create."""
        with self._lock:
            ours = mine or self._calls.caused(id, kind, now)
            known = self._known.get(id)
            if known is None:
                # One of Compose's that was created, and that Compose is going to start.
                known = self._known[id] = Known.of(task, labels)
                known.stopped = not mine
            if kind == "start":
                self._runs(id)
            # Compose sends the stop signal before anything else; other signals are messages to the program.
            elif kind == "kill" and not ours and detail in self._policy(known).stop_signals:
                known.condemned_until = now + self._policy(known).grace_s + 2.0
            elif kind == "die":
                return self._dies(id, known, detail, now, ours)
            elif kind == "destroy":
                self._known.pop(id)
                self._ours.discard(id)
            return Effect(foreign=not ours)

    def _dies(self, id: str, known: Known, exit_code: str, now: float, ours: bool) -> Effect:
        condemned = now < known.condemned_until
        if not ours and not condemned and self._policy(known).restarts(exit_code):
            return Effect(restarts=True)
        known.running = False
        known.stopped = known.stopped or (condemned and not ours)
        # An end without a signal before it is its own: Compose has done nothing.
        return Effect(foreign=condemned and not ours)

    def _policy(self, known: Known) -> Policy:
        return self.policies.get(known.task, Policy())

    def _is_somebodys(self, seen: Found) -> bool:
        """True if a container that does not run is Compose's to start, as far as can be told now."""
        if seen.state is State.CREATED:
            return True
        # A task that may have none may well have none by our doing, in a life that nothing is left of.
        return seen.exit_code in STOPPED and seen.task not in self.consent

    def _runs(self, id: str) -> None:
        known = self._known.get(id)
        if known is not None and not known.running:
            known.running, known.stopped, known.condemned_until, known.lent = True, False, 0.0, ""
            known.held = True
            self._ours.discard(id)

    def _may_start(self, id: str, known: Known) -> bool:
        return not known.running and (id in self._ours or not known.stopped)

    def _is_well(self, id: str, known: Known, now: float) -> bool:
        if known.running:
            return now >= known.condemned_until
        return self._may_start(id, known)
