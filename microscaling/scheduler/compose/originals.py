"""The containers of services: which are Compose's, how they stand, and by whose doing.

No I/O. Thread-safe. Times are monotonic seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from microscaling.scheduler.compose.calls import Calls
from microscaling.scheduler.compose.known import GIVEN_BACK_S, KILL, Effect, Found, Known, Policy, State
from microscaling.scheduler.compose.project_stops import ProjectStops


class Originals:
    """All containers of the tasks, as far as listings, events and our own calls have shown them."""

    def __init__(self, ours: Iterable[str] = (), remembers: bool = False) -> None:
        self._lock = threading.Lock()
        self._given_back = threading.Condition(self._lock)
        self._known: dict[str, Known] = {}
        """By id, the oldest first."""
        self._ours = set(ours)
        """Ids of Compose's containers that the agent itself has stopped: it may start them again."""
        self.remembers = remembers
        """All that the agent has stopped in an earlier life is known."""
        self._calls = Calls()
        self._serial = 0
        self._asked_at = float("-inf")
        self._gone: dict[str, int] = {}
        """By id, the serial number of a removal, which an older listing does not show."""
        self._listed: frozenset[str] = frozenset()
        """Tasks that were there at the last listing."""
        self.policies: dict[str, Policy] = {}
        """By task."""
        self.consent: frozenset[str] = frozenset()
        """Tasks that may have no container at all, so a stopped one may well be our doing."""
        self._stops = ProjectStops()
        self.stirred_at = float("-inf")
        """Time of the last signal to any container of the projects that was not ours."""

    @property
    def ours(self) -> list[str]:
        """Ids of the containers that the agent has stopped and that Compose has made."""
        with self._lock:
            return sorted(self._ours)

    def disown(self, id: str) -> None:
        """Takes back that the agent has stopped a container: it was started and stopped since."""
        with self._lock:
            self._ours.discard(id)

    def begins(self, id: str, call: str, now: float) -> None:
        """Takes the beginning of a call: `start`, `stop` or `remove`."""
        with self._lock:
            known = self._known.get(id)
            # It has been asked to end already, and by its end it is clear by whom.
            if call == "stop" and known is not None and now < known.condemned_until:
                return
            self._calls.begins(id, call)
            if call == "stop" and known is not None and not known.copy:
                self._ours.add(id)

    def ends(self, id: str, call: str, now: float) -> None:
        """Takes the end of a call."""
        with self._lock:
            self._calls.ends(id, call, now)
            if id in self._known:
                self._touch(self._known[id])

    def started(self, id: str) -> None:
        """Takes the success of a start."""
        with self._lock:
            self._runs(id)

    def created(self, id: str, task: str, labels: Mapping[str, Any], now: float) -> None:
        """Takes the success of a create."""
        with self._lock:
            known = self._known.setdefault(id, Known.of(task, labels))
            known.made_at, known.unready = now, self._policy(known).checked
            self._touch(known)

    def lend(self, task: str, nonce: str) -> str:
        """Returns the id of a stopped container of Compose's that may be started; "" if there is none. Waits
        a little for one that has only just ended."""
        deadline = time.monotonic() + GIVEN_BACK_S
        with self._lock:
            while True:
                ended = [
                    (known.held, known.number, id)
                    for id, known in self._of(task)
                    if not known.copy and not known.lent and self._may_start(id, known)
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

    def caused(self, id: str, kind: str, now: float) -> bool:
        """True if an event comes from a call of ours."""
        with self._lock:
            return self._calls.caused(id, kind, now)

    def is_ready(self, id: str) -> bool:
        """True unless the health check of a container is known to be outstanding."""
        with self._lock:
            known = self._known.get(id)
            return known is None or not known.unready

    def rank(self, id: str) -> int | None:
        """Returns the place in the order of stops: the highest goes first. None if it is not known."""
        with self._lock:
            known = self._known.get(id)
            return None if known is None else known.rank

    def lent(self, id: str) -> str:
        """Returns the nonce of the create that a container has answered; "" if there is none."""
        with self._lock:
            known = self._known.get(id)
            return known.lent if known else ""

    def models(self, task: str, now: float) -> list[str]:
        """Returns the ids of the containers that may be copied, the best first."""
        with self._lock:
            made = [(id, known) for id, known in self._of(task) if not known.copy]
            newest = [known.key for _, known in made if known.began][-1:]
            well = [
                (any(map(known.key.differs, newest)), known.restarting, not known.running, known.number, id)
                for id, known in made
                if self._is_well(id, known, now)
            ]
        return [id for *_, id in sorted(well)]

    def resting(self, now: float) -> set[str]:
        """Returns the tasks whose containers of Compose's were all stopped or removed by others."""
        with self._lock:
            return self._tasks() - self._with(now) - self._frozen()

    def frozen(self, now: float) -> set[str]:
        """Returns the tasks whose containers of Compose's are paused, as far as they run."""
        with self._lock:
            return self._frozen() - self._with(now)

    def stale(self) -> set[str]:
        """Returns the ids of the copies of another configuration than the newest of Compose's own has."""
        with self._lock:
            newest = {k.task: k.key for k in self._known.values() if not k.copy and k.began}
            return {
                id for id, known in self._known.items()
                if known.copy and known.key.differs(newest.get(known.task, known.key))
            }  # fmt: skip

    def beginning(self, now: float) -> int:
        """Returns how many containers Compose has created and is about to start."""
        with self._lock:
            return sum(known.begins(now) for known in self._known.values())

    def lowest(self, task: str) -> int:
        """Returns the lowest number of the containers that Compose has made; 0 if there are none."""
        with self._lock:
            return min((known.number for _, known in self._of(task) if not known.copy), default=0)

    def made_since(self, then: float) -> set[str]:
        """Returns the ids of the copies that the agent has made since a time."""
        with self._lock:
            return {id for id, known in self._known.items() if known.copy and known.made_at >= then}

    def ask(self, now: float) -> int:
        """Returns the time of a listing that is about to be requested, for `listed`."""
        with self._lock:
            self._asked_at = now
            return self._serial

    def outage(self) -> None:
        """Notes that the engine was away: what it lists next has come up with it."""
        with self._lock:
            for known in self._known.values():
                known.ended_at = float("-inf")

    def listed(self, found: Mapping[str, Found], asked: int, tasks: frozenset[str]) -> list[str]:
        """Takes a listing of the containers of these tasks, the oldest first; those that are not in it are
        gone. It changes nothing that has changed since it was requested. Returns the ids of Compose's own for
        `learn`."""
        with self._lock:
            listed, self._listed = self._listed, tasks
            kept = {id: k for id, k in self._known.items() if id in found or k.touched > asked}
            self._ours &= kept.keys() | found.keys()
            self._gone = {id: serial for id, serial in self._gone.items() if serial > asked}
            before, self._known = self._known, kept
            for id, seen in found.items():
                if id in self._gone:
                    continue
                known = kept.setdefault(id, Known.of(seen.task, seen.labels))
                if known.touched <= asked:
                    self._compare(id, known, seen, seen.task not in listed, id not in before)
            return [id for id, known in kept.items() if not known.copy and not known.learned]

    def learn(self, id: str, policy: Policy) -> None:
        """Takes the policies of a container that Compose has made, for its service."""
        with self._lock:
            known = self._known.get(id)
            if known is not None:
                known.learned, self.policies[known.task] = True, policy

    def _compare(self, id: str, known: Known, seen: Found, first: bool, new: bool) -> None:
        if seen.lives and known.has_just_ended(self._asked_at):
            return
        if not known.key.image:
            known.key = replace(known.key, image=seen.image)
        ran, known.running = known.running, known.running and seen.lives
        known.paused, known.restarting = seen.state is State.PAUSED, seen.state is State.RESTARTING
        known.began = known.began or seen.state is not State.CREATED
        if new and not known.began:
            known.made_at = self._asked_at
        if seen.lives:
            known.unready, known.shown = seen.unready, known.shown or not ran
            self._runs(id)
            return
        # What it finds of a new task, the reconciler takes over in any state.
        known.held = known.held or (first and seen.state is State.EXITED)
        # If it has run until now, there was no event of its end.
        if (new or ran) and id not in self._ours and not known.copy:
            known.stopped = self._is_somebodys(seen)

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
                known.stopped, known.made_at = not mine, now
            self._touch(known)
            if kind == "start":
                # It did not end before: otherwise it is the engine's own restart, which has no other sign.
                ours = ours or (known.running and not known.shown)
                known.restarting = known.shown = False
                self._runs(id)
                # Without such a policy it was a person, and only this one is meant.
                if not ours and self._policy(known).restarts("0"):
                    self._comes_up(known.project, now)
            elif kind in ("pause", "unpause"):
                known.paused = kind == "pause"
            # Compose sends the stop signal before anything else; other signals are messages to the program.
            elif kind == "kill" and not ours and detail in self._policy(known).stop_signals:
                self._is_asked_to_end(known, detail, now)
            elif kind == "stop" and known.restarting:
                return self._gives_up(known, ours)
            elif kind == "die":
                return self._dies(id, known, detail, now, ours)
            elif kind == "destroy":
                self._known.pop(id)
                self._gone[id] = known.touched
                self._ours.discard(id)
            return Effect(foreign=not ours)

    def bystander(self, project: str, kind: str, signal: str, now: float) -> None:
        """Takes an event of a container of a project that belongs to no task."""
        with self._lock:
            if kind == "start":
                self._stops.bystander_starts(project)
                self._comes_up(project, now)
            elif kind == "kill" and signal in Policy().stop_signals:
                self._stops.bystander_stops(project, now)
                self._stops_project(project, now)

    def stopped_unseen(self, project: str, now: float) -> None:
        """Takes it that all of a project was stopped while nobody followed its events."""
        with self._lock:
            mine = [(id, k) for id, k in self._of_project(project) if self._may_start(id, k)]
            self._stops.found_stopped(project, {id: id in self._ours for id, _ in mine}, now)
            self._take_over(mine)

    def _comes_up(self, project: str, now: float) -> None:
        for id, ours in self._stops.comes_up(project, now).items():
            if id in self._known and not self._known[id].running:
                self._known[id].stopped = False
                self._ours |= {id} if ours else set()

    def _is_asked_to_end(self, known: Known, signal: str, now: float) -> None:
        known.may_return = known.may_return or signal != KILL
        known.condemned_until = self.stirred_at = now
        known.condemned_until += self._policy(known).grace_s + 2.0
        if not known.copy:
            self._stops_all([(id, other) for id, other in self._of(known.task) if not other.copy], now)
            self._stops_project(known.project, now)

    def _stops_project(self, project: str, now: float) -> None:
        if self._stops.stops(project, now):
            # Not if only its tasks are stopped: these may be all that a person means.
            self._stops_all(self._of_project(project), now)

    def _stops_all(self, mine: list[tuple[str, Known]], now: float) -> None:
        """Takes over a stop of all that runs of these: it means those as well that do not, as the agent has
        stopped them before, in this life or an earlier one. Of these there is no sign."""
        ends = any(now < known.condemned_until for _, known in mine)
        if not ends or any(known.running and now >= known.condemned_until for _, known in mine):
            return
        self._take_over(mine)

    def _take_over(self, mine: list[tuple[str, Known]]) -> None:
        for id, known in mine:
            if id in self._ours or not known.running:
                self._ours.discard(id)
                known.stopped = True

    def _dies(self, id: str, known: Known, exit_code: str, now: float, ours: bool) -> Effect:
        condemned = now < known.condemned_until
        known.paused, known.shown, known.ended_at = False, False, now
        if not ours and not condemned and self._policy(known).restarts(exit_code):
            known.restarting = True
            return Effect(restarts=True)
        known.running = False
        # An end without a signal before it is its own: Compose has done nothing.
        # Of ours, if all else was stopped meanwhile.
        known.stopped = (condemned and not ours) or (ours and not known.copy and id not in self._ours)
        return Effect(foreign=known.stopped, returns=known.stopped and known.may_return)

    def _gives_up(self, known: Known, ours: bool) -> Effect:
        """Takes the stop of a container that the engine would have started again: nothing dies."""
        known.restarting = known.running = False
        known.stopped = not ours
        return Effect(foreign=not ours, ends=True)

    # With the lock

    def _of(self, task: str) -> Iterator[tuple[str, Known]]:
        return ((id, known) for id, known in self._known.items() if known.task == task)

    def _of_project(self, project: str) -> list[tuple[str, Known]]:
        return [(id, k) for id, k in self._known.items() if not k.copy and k.project == project]

    def _tasks(self) -> set[str]:
        return {known.task for known in self._known.values()} | set(self.policies)

    def _with(self, now: float) -> set[str]:
        """Returns the tasks with a container of Compose's that is well."""
        return {k.task for id, k in self._known.items() if not k.copy and self._is_well(id, k, now)}

    def _frozen(self) -> set[str]:
        return {k.task for k in self._known.values() if not k.copy and k.running and k.paused}

    def _policy(self, known: Known) -> Policy:
        return self.policies.get(known.task, Policy())

    def _touch(self, known: Known) -> None:
        self._serial += 1
        known.touched = self._serial

    def _is_somebodys(self, seen: Found) -> bool:
        """True if a container that does not run is Compose's to start, as far as is known now."""
        if seen.state is State.CREATED:
            return True
        # A task that may have none may well have none by our doing, in a life that nothing is left of.
        return seen.may_be_stopped and (self.remembers or seen.task not in self.consent)

    def _runs(self, id: str) -> None:
        known = self._known.get(id)
        if known is not None and not known.running:
            known.running, known.stopped, known.condemned_until, known.lent = True, False, 0.0, ""
            known.held, known.began, known.may_return = True, True, False
            self._ours.discard(id)

    def _may_start(self, id: str, known: Known) -> bool:
        return not known.running and (id in self._ours or not known.stopped)

    def _is_well(self, id: str, known: Known, now: float) -> bool:
        if known.running:
            return now >= known.condemned_until and not known.paused
        return self._may_start(id, known)
