"""The reconciler of an orchestrator: its state of every task, and the next requests.

No I/O, no clock, no threads: the caller holds the lock of `Tasks`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from microscaling.demand import limits
from microscaling.demand.tasks import Tasks
from microscaling.errors import MicroscalingError, PermanentError, TemporaryError
from microscaling.scheduler.occupied import Occupied
from microscaling.scheduler.probes import Probes
from microscaling.scheduler.replicas.state import Conflict, Found, Replicas, ReplicaState, ScaleRequest

__all__ = ["Conflict", "Found", "ReplicaReconciler", "Replicas", "ScaleRequest"]

log = logging.getLogger("mssscheduler")


class ReplicaReconciler:
    """Every task at one orchestrator, level-triggered: `reconcile` compares demand with the requested number.

    One call per task is under way at a time, and the latest demand wins. The sum of all requests stays within
    the cap.
    """

    def __init__(self, tasks: Tasks, name: str, what: str) -> None:
        self.tasks = tasks
        self.name = name
        self.what = what
        self.adopted = False
        self.acting = False
        """Requests are allowed: False before the first decision."""
        self.leaving = False
        self.draining = False
        self.standing_by = False
        """Another agent decides: nothing is requested."""
        occupied = Occupied(tasks)
        self.probes = Probes(tasks, occupied)
        self.occupied = occupied
        self.waits_for_others = False
        """A number that somebody else has set is left alone for some seconds."""
        self.states: dict[str, ReplicaState] = {}
        self.follow()
        self._touches = 0
        self._reconciled_at = 0.0
        """Time of the last complete `reconcile`, monotonic seconds."""
        self._requests: list[ScaleRequest] = []

    # The state

    def follow(self) -> None:
        """Takes over the tasks as they are now: new ones wait for their first state, and those that have gone
        keep their instances."""
        known = self.states
        self.states = {
            task.name: state
            if (state := known.get(task.name)) and state.task is task
            else ReplicaState(task, self.occupied, self.probes)
            for task in self.tasks.tasks
        }
        for state in known.values():
            if self.states.get(state.task.name) is not state:
                state.unanswered.clear(state.requested)
                self.probes.let_go(state.task)

    def stand_by(self) -> None:
        """From now on another agent decides: demand follows the orchestrator's numbers."""
        self.standing_by = True
        for state in self.states.values():
            state.placement.end()
            if state.crashes.limit is not None:
                state.crashes.end()

    @property
    def _decides(self) -> bool:
        return self.acting and not self.draining and not self.standing_by

    def mark(self) -> int:
        """Returns a mark for `apply`, to be taken before the state is read: it gives the age of the
        answer."""
        return self._touches

    def apply(self, found: Mapping[str, Found], mark: int, now: float) -> None:
        """Takes over the orchestrator's state, except where a request was made since `mark`. The first call
        adopts everything: demand becomes the requested number."""
        for name, seen in found.items():
            state = self.states.get(name)
            if state is None:  # it has gone meanwhile
                continue
            task = state.task
            before = (task.requested, task.running)
            old = state.asked is not None or state.touched > mark
            if isinstance(seen, Replicas):
                self._there(state, seen, old, now)
            elif not old:
                self._barred(state, seen)
            self._settle(state, now)
            if (task.requested, task.running) != before:
                self.tasks.changed.set()
        self.adopted = True

    def _there(self, state: ReplicaState, seen: Replicas, old: bool, now: float) -> None:
        task = state.task
        task.running, state.stopping = seen.running, seen.stopping
        task.unplaced = seen.unplaced
        state.ran = state.ran or seen.running > 0
        self._rest(state, seen.update)
        # What fails during an update is a matter of its failure action, such as a roll-back.
        if self._decides and not task.resting:
            state.crashes.look(seen.failures, seen.steady, now)
        if old:
            return
        others = self.adopted and state.there and seen.requested != state.requested
        if others and self.waits_for_others and not state.unconfirmed and self._decides:
            state.not_before = now + state.outside.wait_s(seen.requested, now)
        if self._decides and state.placement.look(seen.requested, seen.pending, seen.room_key, now):
            self.tasks.changed.set()
        task.requested = state.requested = state.ceiling = seen.requested
        state.unconfirmed = False
        if not state.there:
            if self.adopted:
                log.info(
                    "%s: %s has the %s now, with %d instances",
                    task.name,
                    self.name,
                    self.what,
                    seen.requested,
                )
            state.there = True
            state.obstacle = ""
            task.backing_off = bool(task.resting)
            limits.adopt(task, task.requested)
        if state.locked and not seen.locked and not task.backing_off:
            state.not_before = 0.0
        state.locked = seen.locked
        if self.standing_by and not self.draining:
            limits.adopt(task, seen.requested)

    def _rest(self, state: ReplicaState, why: str) -> None:
        """Takes a task out of the allocation while it must not be scaled; it counts with what it has."""
        task = state.task
        if why == task.resting:
            return
        task.resting = why
        if not why and state.crashes.limit is not None:
            state.crashes.end()  # an update may have mended it
        task.backing_off = bool(why)
        log.info("%s: %s", task.name, why or "it is scaled again")
        self.tasks.changed.set()

    def _barred(self, state: ReplicaState, why: PermanentError | None) -> None:
        """Takes a task out of the allocation: it cannot be scaled, so its share is free for others."""
        task = state.task
        state.there = False
        task.resting = task.unplaced = ""
        state.placement.end()
        if why is None:
            task.requested = task.running = state.requested = state.ceiling = 0
            state.unconfirmed = False
        missing = f"{self.name} has no {self.what} {task.name}; waiting for it, as the agent creates none"
        obstacle = str(why or missing)
        self._say(state, obstacle)
        self._give_up(state, "cannot be scaled")

    def _settle(self, state: ReplicaState, now: float) -> None:
        """Updates `stopping` and the time limit for settling."""
        task = state.task
        if self._decides:
            state.unanswered.look(state.requested, now)
        # Running instances above the requested number are on their way out.
        task.stopping = min(task.running, max(state.stopping, task.running - task.requested))
        # Replicas may stay pending without end, and must not freeze their task.
        if not self.adopted:
            state.settling.restart(now)
        elif state.settling.look(now):
            self.tasks.changed.set()

    # The requests

    def hear(self, found: Mapping[str, Found], now: float) -> None:
        """Takes over a change of some tasks, and plans what it leads to."""
        known = [state for name in found if (state := self.states.get(name)) is not None]
        heard = sorted(known, key=lambda state: state.task.priority)
        before = [(state.ceiling, state.there) for state in heard]
        self.apply(found, self.mark(), now)
        # Only a place that is free now can be of use to other tasks. Without one no event costs a look at all
        # of them: there may be thousands, each with its own events.
        freed = any(
            state.ceiling < ceiling or state.there != there
            for state, (ceiling, there) in zip(heard, before, strict=True)
        )
        if freed:
            self.reconcile(now)
        elif self._plans:
            self._plan(heard, now)

    @property
    def _plans(self) -> bool:
        return self.acting and self.adopted and not self.leaving and not self.standing_by

    def reconcile(self, now: float) -> None:
        """Plans the requests that are possible now; they count as under way from then on."""
        if self._plans:
            self._reconciled_at = now
            self._plan([self.states[task.name] for task in self.tasks.by_priority()], now)

    def _plan(self, states: Iterable[ReplicaState], now: float) -> None:
        """Plans the requests for some tasks, the most important first."""
        # Decreases first: increases may need the places they free.
        more: list[tuple[ReplicaState, int]] = []
        for state in states:
            task = state.task
            want = self._want(state, now)
            if state.asked is not None or not state.there or now < state.not_before or task.resting:
                continue
            if want < state.requested:
                self._ask(state, want)
            elif want > state.requested:
                more.append((state, want))
        if more:
            self._more(more)

    def take(self) -> list[ScaleRequest]:
        """Returns the planned requests, each once."""
        requests, self._requests = self._requests, []
        return requests

    def _more(self, more: list[tuple[ReplicaState, int]]) -> None:
        """Plans the requests for more instances that fit under the cap, the most important task's first. One
        that does not fit waits for decreases under way; without any it takes the free places."""
        # While a call is under way, or unconfirmed, a task counts with the larger of its old and new number.
        states = self.states.values()
        room = max(0, self.tasks.max_containers - sum(state.ceiling for state in states))
        falling = any(a.asked is not None and a.asked < a.requested for a in states)
        for state, want in more:
            need = max(0, want - state.ceiling)
            instances = want - need + min(need, room)
            if instances > state.requested and (need <= room or not falling):
                self._ask(state, instances)
            room -= min(need, room)

    def _want(self, state: ReplicaState, now: float) -> int:
        """Returns the task's demand; a task that cannot be scaled has none of its own."""
        task = state.task
        if self.draining:
            return 0
        if task.resting or state.crashes.limit is not None:
            return max(0, task.demand)
        if task.backing_off and not state.trying:
            self.probes.review(task)
            if task.demand != task.requested:  # scaled from outside
                self._give_up(state, "cannot be scaled")
            if state.there and now >= state.not_before:
                self._try_again(state, now)
        return max(0, task.demand)

    def _try_again(self, state: ReplicaState, now: float) -> None:
        """Ends a back-off, or tries one more instance in a free place or in place of a remainder's; else
        waits again."""
        task = state.task
        self.tasks.changed.set()
        self.probes.let_go(task)
        # Running instances of other tasks are not given up for a probe. A task that never ran, or wants no
        # more, goes back to the common rules instead.
        if not state.ran or task.scale_up_count() <= 0:
            task.backing_off = False
            return
        free = self.probes.has_place()
        donor = None if free else self.probes.remainder_for(task)
        if not free and donor is None:
            state.not_before = now + state.refusals.next()
            return
        state.trying = True
        limits.try_again(task, task.requested + 1, donor)

    def _ask(self, state: ReplicaState, instances: int) -> None:
        state.asked = instances
        state.ceiling = max(state.ceiling, state.requested, instances)
        self._touch(state)
        self._requests.append(ScaleRequest(state.task.name, instances))

    def on_done(self, call: ScaleRequest, error: MicroscalingError | None, now: float) -> None:
        """Takes the result of a call; `error` is None if it was accepted."""
        state = self.states.get(call.name)
        if state is None:  # it has gone meanwhile
            return
        state.asked = None
        self._touch(state)
        if error is None:
            self._accepted(state, call.instances, now)
            return
        # Any other error leaves open whether the orchestrator has accepted the request.
        state.unconfirmed = state.unconfirmed or not isinstance(error, (Conflict, PermanentError))
        if not state.unconfirmed:
            state.ceiling = state.requested
        if isinstance(error, PermanentError):
            self._refused(state, error, now)
            return
        delay_s = error.delay_s if isinstance(error, TemporaryError) else None
        state.not_before = now + (delay_s or state.backoff.next())
        if state.failure_log.failed(now):
            # A conflict is normal, as during a deployment from outside.
            level = logging.INFO if isinstance(error, Conflict) else logging.WARNING
            log.log(level, "%s: %s; trying again", call.name, error)

    def _accepted(self, state: ReplicaState, instances: int, now: float) -> None:
        task = state.task
        state.requested = state.ceiling = instances
        state.unanswered.clear(instances)
        state.unconfirmed = False
        task.stopping = max(0, task.running - task.requested)
        state.settling.restart(now)
        state.trying = False
        if state.crashes.limit is None:
            task.backing_off = bool(task.resting)
            self.probes.let_go(task)
        state.backoff.reset()
        state.refusals.reset()
        if state.failure_log.recovered() or state.obstacle:
            log.info("%s: can be scaled again, %d asked for", task.name, instances)
        state.obstacle = ""
        self.tasks.changed.set()

    def _refused(self, state: ReplicaState, error: PermanentError, now: float) -> None:
        state.not_before = now + state.refusals.next()
        more = state.ran and state.task.demand > state.requested
        self._say(state, str(error))
        self._give_up(state, "refused")
        if more:
            self.probes.keep_place(state.task)

    def _give_up(self, state: ReplicaState, why: str) -> None:
        """Backs off: the task keeps its instances for now, and the engine plans without it."""
        task = state.task
        task.backing_off, state.trying = True, False
        state.unanswered.clear(state.requested)
        if not self.draining:
            limits.hold_at(task, task.requested, f"{why}: {state.obstacle}")
        self.tasks.changed.set()

    def _say(self, state: ReplicaState, why: str) -> None:
        if state.obstacle != why:
            log.error("%s: %s", state.task.name, why)
        state.obstacle = why

    def _touch(self, state: ReplicaState) -> None:
        """From now on, answers requested earlier do not change its requested number."""
        self._touches += 1
        state.touched = self._touches

    # The end

    def drain(self) -> None:
        """Sets the demand of all tasks to 0, for good. One that stands by leaves them to the other agent."""
        self.draining = True
        self.leaving = self.leaving or self.standing_by
        for state in self.states.values():
            state.not_before = 0.0  # the end of the agent does not wait for a back-off

    def leave(self) -> None:
        """From now on nothing is requested: the orchestrator completes the accepted requests."""
        self.leaving = True

    def next_due(self) -> float | None:
        """Returns the time at which a delayed request is due (monotonic seconds)."""
        if not self.acting or self.leaving or self.standing_by:
            return None
        # A time before the last `reconcile` needs no other call: a request that was not possible then waits
        # for another change.
        due = [
            a.not_before for a in self.states.values()
            if a.there and a.asked is None and a.not_before > self._reconciled_at
            and (self._differs(a) or a.task.backing_off)
        ]  # fmt: skip
        return min(due, default=None)

    def _differs(self, state: ReplicaState) -> bool:
        return state.requested != (0 if self.draining else state.task.demand)

    @property
    def idle(self) -> bool:
        """True if no call is under way, and after `drain` no instance is requested any more."""
        states = self.states.values()
        busy = any(state.asked is not None for state in states)
        return not busy and not (self.draining and not self.leaving and any(a.ceiling for a in states))

    def left(self) -> list[str]:
        """Describes the instances that are still requested."""
        return [f"{a.ceiling} of {a.task.name}" for a in self.states.values() if a.ceiling]
