"""The reconciler of an orchestrator: its state of every task, and the next requests.

No I/O, no clock, no threads: the caller holds the lock of `Tasks`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from microscaling.demand import limits
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import MicroscalingError, PermanentError, TemporaryError
from microscaling.scheduler.occupied import Occupied
from microscaling.scheduler.probes import Probes
from microscaling.scheduler.replicas.unanswered import Unanswered
from microscaling.scheduler.settling import Settling
from microscaling.utils.backoff import Backoff
from microscaling.utils.failure_log import FailureLog

log = logging.getLogger("mssscheduler")

CONFLICT_S, CONFLICT_MOST_S = 0.25, 5.0
REFUSED_S, REFUSED_MOST_S = 1.0, 60.0


class Conflict(TemporaryError):
    """Refused because of a concurrent change. That is normal, and passes."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """The state of one task at the orchestrator (instances): the requested and the running number, and
    whether a change is under way that blocks another one."""

    requested: int
    running: int
    locked: bool = False


Found = Replicas | PermanentError | None
"""The state of a task, or the reason why it cannot be read; None: the orchestrator does not have it."""


@dataclass(frozen=True, slots=True)
class ScaleRequest:
    """A request for a number of instances of a task."""

    name: str
    instances: int

    def __str__(self) -> str:
        return f"{self.name}: scale to {self.instances}"


class ReplicaState:
    """The reconciler's state of one task."""

    def __init__(self, task: Task, occupied: Occupied) -> None:
        self.task = task
        self.requested = 0
        """The orchestrator's own number (instances), as far as known."""
        self.unanswered = Unanswered(task, occupied)
        self.asked: int | None = None
        """Instances requested by the call under way."""
        self.ceiling = 0
        """Upper bound of the orchestrator's number now: more than `requested` while a call is under way, or
        in `doubt`."""
        self.doubt = False
        """The acceptance of the last call is unknown."""
        self.touched = 0
        self.there = False
        self.locked = False
        """A change was under way at the last look."""
        self.not_before = 0.0
        self.ran = False
        """An instance has run since the start of the agent."""
        self.trying = False
        """It backs off, and one more instance is requested as a probe."""
        self.settling = Settling(task)
        self.backoff = Backoff(CONFLICT_S, CONFLICT_MOST_S)
        self.refusals = Backoff(REFUSED_S, REFUSED_MOST_S)
        self.episode = FailureLog()
        self.said = ""
        """The last logged obstacle to scaling it; empty without one."""


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
        occupied = Occupied(tasks)
        self.probes = Probes(tasks, occupied)
        self.accounts = {task.name: ReplicaState(task, occupied) for task in tasks.tasks}
        self._touches = 0
        self._reconciled_at = 0.0
        """Time of the last complete `reconcile`, monotonic seconds."""
        self._requests: list[ScaleRequest] = []

    # The state

    def mark(self) -> int:
        """Returns a mark for `apply`, to be taken before the state is read: it gives the age of the
        answer."""
        return self._touches

    def apply(self, found: Mapping[str, Found], mark: int, now: float) -> None:
        """Takes over the orchestrator's state, except where a request was made since `mark`. The first call
        adopts everything: demand becomes the requested number."""
        for name, seen in found.items():
            account = self.accounts[name]
            task = account.task
            before = (task.requested, task.running)
            old = account.asked is not None or account.touched > mark
            if isinstance(seen, Replicas):
                self._there(account, seen, old)
            elif not old:
                self._barred(account, seen)
            self._settle(account, now)
            if (task.requested, task.running) != before:
                self.tasks.changed.set()
        self.adopted = True

    def _there(self, account: ReplicaState, seen: Replicas, old: bool) -> None:
        task = account.task
        task.running = seen.running
        account.ran = account.ran or seen.running > 0
        if old:
            return
        task.requested = account.requested = account.ceiling = seen.requested
        account.doubt = False
        if not account.there:
            if self.adopted:
                log.info(
                    "%s: %s has the %s now, with %d instances",
                    task.name,
                    self.name,
                    self.what,
                    seen.requested,
                )
            account.there = True
            account.said = ""
            task.backing_off = False
            limits.adopt(task, task.requested)
        if account.locked and not seen.locked and not task.backing_off:
            account.not_before = 0.0
        account.locked = seen.locked

    def _barred(self, account: ReplicaState, why: PermanentError | None) -> None:
        """Takes a task out of the allocation: it cannot be scaled, so its share is free for others."""
        task = account.task
        account.there = False
        if why is None:
            task.requested = task.running = account.requested = account.ceiling = 0
            account.doubt = False
        missing = f"{self.name} has no {self.what} {task.name}; waiting for it, as the agent creates none"
        said = str(why or missing)
        self._say(account, said)
        self._give_up(account, "cannot be scaled")

    def _settle(self, account: ReplicaState, now: float) -> None:
        """Updates `stopping` and the time limit for settling."""
        task = account.task
        if self.acting and not self.draining:
            account.unanswered.look(account.requested, now)
        # Running instances above the requested number are on their way out.
        task.stopping = max(0, task.running - task.requested)
        # Replicas may stay pending without end, and must not freeze their task.
        if not self.adopted:
            account.settling.restart(now)
        elif account.settling.look(now):
            self.tasks.changed.set()

    # The requests

    def reconcile(self, now: float) -> None:
        """Plans the requests that are possible now; they count as under way from then on."""
        if not self.acting or not self.adopted or self.leaving:
            return
        self._reconciled_at = now
        # Decreases first: increases may need the places they free.
        more: list[tuple[ReplicaState, int]] = []
        for task in self.tasks.by_priority():
            account = self.accounts[task.name]
            want = self._want(account, now)
            if account.asked is not None or not account.there or now < account.not_before:
                continue
            if want < account.requested:
                self._ask(account, want)
            elif want > account.requested:
                more.append((account, want))
        self._more(more)

    def take(self) -> list[ScaleRequest]:
        """Returns the planned requests, each once."""
        requests, self._requests = self._requests, []
        return requests

    def _more(self, more: list[tuple[ReplicaState, int]]) -> None:
        """Plans the requests for more instances that fit under the cap, the most important task's first. One
        that does not fit waits for decreases under way; without any it takes the free places."""
        # While a call is under way, or in doubt, a task counts with the larger of its old and new number.
        accounts = self.accounts.values()
        room = max(0, self.tasks.max_containers - sum(account.ceiling for account in accounts))
        falling = any(a.asked is not None and a.asked < a.requested for a in accounts)
        for account, want in more:
            need = max(0, want - account.ceiling)
            instances = want - need + min(need, room)
            if instances > account.requested and (need <= room or not falling):
                self._ask(account, instances)
            room -= min(need, room)

    def _want(self, account: ReplicaState, now: float) -> int:
        """Returns the task's demand; a task that cannot be scaled has none of its own."""
        task = account.task
        if self.draining:
            return 0
        if task.backing_off and not account.trying:
            self.probes.review(task)
            if task.demand != task.requested:  # scaled from outside
                self._give_up(account, "cannot be scaled")
            if account.there and now >= account.not_before:
                self._try_again(account, now)
        return max(0, task.demand)

    def _try_again(self, account: ReplicaState, now: float) -> None:
        """Ends a back-off, or tries one more instance in a free place or in place of a remainder's; else
        waits again."""
        task = account.task
        self.tasks.changed.set()
        self.probes.let_go(task)
        # Running instances of other tasks are not given up for a probe. A task that never ran, or wants no
        # more, goes back to the common rules instead.
        if not account.ran or task.scale_up_count() <= 0:
            task.backing_off = False
            return
        free = self.probes.has_place()
        giver = None if free else self.probes.remainder_for(task)
        if not free and giver is None:
            account.not_before = now + account.refusals.next()
            return
        account.trying = True
        limits.try_again(task, task.requested + 1, giver)

    def _ask(self, account: ReplicaState, instances: int) -> None:
        account.asked = instances
        account.ceiling = max(account.ceiling, account.requested, instances)
        self._touch(account)
        self._requests.append(ScaleRequest(account.task.name, instances))

    def finish(self, call: ScaleRequest, error: MicroscalingError | None, now: float) -> None:
        """Takes the result of a call; `error` is None if it was accepted."""
        account = self.accounts[call.name]
        account.asked = None
        self._touch(account)
        if error is None:
            self._accepted(account, call.instances, now)
            return
        # Any other error leaves open whether the orchestrator has accepted the request.
        account.doubt = account.doubt or not isinstance(error, (Conflict, PermanentError))
        if not account.doubt:
            account.ceiling = account.requested
        if isinstance(error, PermanentError):
            self._refused(account, error, now)
            return
        delay_s = error.delay_s if isinstance(error, TemporaryError) else None
        account.not_before = now + (delay_s or account.backoff.next())
        if account.episode.failed(now):
            # A conflict is normal, as during a deployment from outside.
            level = logging.INFO if isinstance(error, Conflict) else logging.WARNING
            log.log(level, "%s: %s; trying again", call.name, error)

    def _accepted(self, account: ReplicaState, instances: int, now: float) -> None:
        task = account.task
        account.requested = account.ceiling = instances
        account.unanswered.clear(instances)
        account.doubt = False
        task.stopping = max(0, task.running - task.requested)
        account.settling.restart(now)
        task.backing_off = account.trying = False
        self.probes.let_go(task)
        account.backoff.reset()
        account.refusals.reset()
        if account.episode.recovered() or account.said:
            log.info("%s: can be scaled again, %d asked for", task.name, instances)
        account.said = ""
        self.tasks.changed.set()

    def _refused(self, account: ReplicaState, error: PermanentError, now: float) -> None:
        account.not_before = now + account.refusals.next()
        more = account.ran and account.task.demand > account.requested
        self._say(account, str(error))
        self._give_up(account, "refused")
        if more:
            self.probes.keep_place(account.task)

    def _give_up(self, account: ReplicaState, why: str) -> None:
        """Backs off: the task keeps its instances for now, and the engine plans without it."""
        task = account.task
        task.backing_off, account.trying = True, False
        account.unanswered.clear(account.requested)
        if not self.draining:
            limits.hold_at(task, task.requested, f"{why}: {account.said}")
        self.tasks.changed.set()

    def _say(self, account: ReplicaState, why: str) -> None:
        if account.said != why:
            log.error("%s: %s", account.task.name, why)
        account.said = why

    def _touch(self, account: ReplicaState) -> None:
        """From now on, answers requested earlier do not change its requested number."""
        self._touches += 1
        account.touched = self._touches

    # The end

    def drain(self) -> None:
        """Sets the demand of all tasks to 0, for good."""
        self.draining = True
        for account in self.accounts.values():
            account.not_before = 0.0  # the end of the agent does not wait for a back-off

    def leave(self) -> None:
        """From now on nothing is requested: the orchestrator completes the accepted requests."""
        self.leaving = True

    def next_due(self) -> float | None:
        """Returns the time at which a delayed request is due (monotonic seconds)."""
        if not self.acting or self.leaving:
            return None
        # A time before the last `reconcile` needs no other call: a request that was not possible then waits
        # for another change.
        due = [
            a.not_before for a in self.accounts.values()
            if a.there and a.asked is None and a.not_before > self._reconciled_at
            and (self._differs(a) or a.task.backing_off)
        ]  # fmt: skip
        return min(due, default=None)

    def _differs(self, account: ReplicaState) -> bool:
        return account.requested != (0 if self.draining else account.task.demand)

    @property
    def idle(self) -> bool:
        """True if no call is under way, and after `drain` no instance is requested any more."""
        accounts = self.accounts.values()
        busy = any(account.asked is not None for account in accounts)
        return not busy and not (self.draining and not self.leaving and any(a.ceiling for a in accounts))

    def left(self) -> list[str]:
        """Describes the instances that are still requested."""
        return [f"{a.ceiling} of {a.task.name}" for a in self.accounts.values() if a.ceiling]
