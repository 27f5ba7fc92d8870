"""What an orchestrator has been asked for, what it says there is, and what it may be asked next.

No I/O, no clock, no threads: whoever keeps a ledger holds the lock of its `Tasks`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from microscaling.demand.reason import TRY, TRY_GAVE, TRY_TOOK, Reason
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.occupied import KEPT, Occupied
from microscaling.scheduler.replicas.unanswered import Unanswered
from microscaling.scheduler.settling import Settling
from microscaling.utils.backoff import Backoff
from microscaling.utils.failure_log import FailureLog

log = logging.getLogger("mssscheduler")

CONFLICT_S, CONFLICT_MOST_S = 0.25, 5.0
REFUSED_S, REFUSED_MOST_S = 1.0, 60.0


class Conflict(TemporaryError):
    """Not accepted, because somebody else is changing it just now. That is normal, and passes."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """What there is of one task (instances): how many are asked for, how many run, and whether a
    change is under way that would refuse another."""

    requested: int
    running: int
    locked: bool = False


Found = Replicas | PermanentError | None
"""What there is of a task, or why that cannot be said; None: it is not there."""


@dataclass(frozen=True, slots=True)
class ScaleRequest:
    """To be asked for: so many instances of a task."""

    name: str
    instances: int


class ReplicaState:
    """One task, and what is under way for it."""

    def __init__(self, task: Task, occupied: Occupied) -> None:
        self.task = task
        self.requested = 0
        """The orchestrator's own number (instances), as far as it is known."""
        self.unanswered = Unanswered(task, occupied)
        self.asked: int | None = None
        """What the call that is under way asks for."""
        self.ceiling = 0
        """The most that can be asked of the orchestrator now: it may be more than `requested` while a
        call is under way, or `doubt`ful."""
        self.doubt = False
        """Nobody knows whether the last call was accepted."""
        self.touched = 0
        self.there = False
        self.locked = False
        """A change was under way when last looked at."""
        self.not_before = 0.0
        self.ran = False
        """Some of it has run since the start."""
        self.trying = False
        """It backs off, and is to have one more to see whether that is accepted now."""
        self.settling = Settling(task)
        self.backoff = Backoff(CONFLICT_S, CONFLICT_MOST_S)
        self.refusals = Backoff(REFUSED_S, REFUSED_MOST_S)
        self.episode = FailureLog()
        self.said = ""
        """What was last said to stand against scaling it; empty: nothing does."""


class ReplicaReconciler:
    """Every task at one orchestrator, level-triggered: `reconcile` compares demand with what is requested.

    One call a task is under way at a time, and the latest demand wins. The sum of what is asked for
    stays within the cap: while a call is under way, or in doubt, a task counts with the more of old
    and new, so what gives way is asked for, and accepted, first.
    """

    def __init__(self, tasks: Tasks, name: str, what: str) -> None:
        self.tasks = tasks
        self.name = name
        self.what = what
        self.adopted = False
        self.acting = False
        """Whether anything may be asked for: not before the first decision."""
        self.leaving = False
        self.draining = False
        self.occupied = Occupied(tasks)
        self.accounts = {task.name: ReplicaState(task, self.occupied) for task in tasks.tasks}
        self._touches = 0
        self._reconciled_at = 0.0
        """When `reconcile` last went through all, monotonic seconds."""

    # What there is

    def mark(self) -> int:
        """To be taken before asking what there is: says how old the answer may be."""
        return self._touches

    def apply(self, found: Mapping[str, Found], mark: int, now: float) -> None:
        """Takes over what there is, as far as it is not older than what has been asked for since.
        The first time it is all adopted: demand is what was asked for."""
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
                log.info("%s: %s has the %s now: %d of it", task.name, self.name, self.what, seen.requested)
            account.there = True
            account.said = ""
            task.backing_off = False
            task.demand = task.requested
        if account.locked and not seen.locked and not task.backing_off:
            account.not_before = 0.0
        account.locked = seen.locked

    def _barred(self, account: ReplicaState, why: PermanentError | None) -> None:
        """It cannot be scaled, so its share is free for others."""
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
        """What runs above the number that is asked for is on its way out; replicas that stay pending must
        not freeze a task."""
        task = account.task
        if self.acting and not self.draining:
            account.unanswered.look(account.requested, now)
        task.stopping = max(0, task.running - task.requested)
        if not self.adopted:
            account.settling.restart(now)
        elif account.settling.look(now):
            self.tasks.changed.set()

    # What is asked for

    def reconcile(self, now: float) -> list[ScaleRequest]:
        """What is to be asked for now; it counts as under way from then on."""
        if not self.acting or not self.adopted or self.leaving:
            return []
        self._reconciled_at = now
        calls: list[ScaleRequest] = []
        more: list[tuple[ReplicaState, int]] = []
        for task in self.tasks.by_priority():
            account = self.accounts[task.name]
            want = self._want(account, now)
            if account.asked is not None or not account.there or now < account.not_before:
                continue
            if want < account.requested:
                calls.append(self._ask(account, want))
            elif want > account.requested:
                more.append((account, want))
        return calls + self._more(more)

    def _more(self, more: list[tuple[ReplicaState, int]]) -> list[ScaleRequest]:
        """Those that are to become more, the most important first, as far as the cap allows.

        One that does not fit waits for what gives way; only if nothing does it takes what is free."""
        calls: list[ScaleRequest] = []
        accounts = self.accounts.values()
        room = max(0, self.tasks.max_containers - sum(account.ceiling for account in accounts))
        falling = any(a.asked is not None and a.asked < a.requested for a in accounts)
        for account, want in more:
            need = max(0, want - account.ceiling)
            instances = want - need + min(need, room)
            if instances > account.requested and (need <= room or not falling):
                calls.append(self._ask(account, instances))
            room -= min(need, room)
        return calls

    def _want(self, account: ReplicaState, now: float) -> int:
        """Its demand; what cannot be scaled has no demand of its own."""
        task = account.task
        if self.draining:
            return 0
        if task.backing_off and not account.trying:
            if self.occupied.of(KEPT, task.name) and self._somebody_is_short(task):
                self.occupied.note(KEPT, task.name, 0)
            if account.there and now >= account.not_before:
                self._try_again(account, now)
            elif task.demand != task.requested:
                self._give_up(account, "cannot be scaled")
        return max(0, task.demand)

    def _try_again(self, account: ReplicaState, now: float) -> None:
        """Its back-off is over. What works gives nothing for a try: that takes a place that is free, or one
        of what soaks up the rest, else it waits. What never ran, or wants no more, is like any other."""
        task = account.task
        self.tasks.changed.set()
        self.occupied.note(KEPT, task.name, 0)
        if not account.ran or task.scale_up_count() <= 0:
            task.backing_off = False
            return
        before, after = task.requested, task.requested + 1
        if self._free() > 0:
            task.reason = Reason(TRY, before, after)
        elif giver := self._soaks_up(task):
            giver.reason = Reason(TRY_GAVE, giver.demand, giver.demand - 1, 1, 0, task.name)
            log.info("%s: %d -> %d (%s)", giver.name, giver.demand, giver.demand - 1, giver.reason)
            giver.demand -= 1
            task.reason = Reason(TRY_TOOK, before, after, 1, 0, giver.name)
        else:
            account.not_before = now + account.refusals.next()
            return
        log.info("%s: %d -> %d (%s)", task.name, before, after, task.reason)
        account.trying, task.demand = True, after

    def _keep_place(self, task: Task) -> None:
        """A place of what has just been refused stays free for its next try, unless somebody has it."""
        wanted = task.requested < task.max_containers and not self._soaks_up(task)
        if wanted and self._free() > 0 and not self._somebody_is_short(task):
            self.occupied.note(KEPT, task.name, 1)

    def _free(self) -> int:
        return self.tasks.places() - sum(max(task.demand, task.requested) for task in self.tasks.tasks)

    def _soaks_up(self, task: Task) -> Task | None:
        """The least important remainder that can give this task a place."""
        for other in reversed(self.tasks.by_priority()):
            able = other.is_remainder() and other.is_scalable and not other.backing_off and not other.held
            if able and other.priority > task.priority and other.demand > max(0, other.min_containers):
                return other
        return None

    def _somebody_is_short(self, task: Task) -> bool:
        """Whether a more important task has a better use for the place that is kept."""
        return any(
            other.priority < task.priority and other.scale_up_count() > 0 and not other.is_remainder()
            for other in self.tasks.tasks
            if other.is_scalable and not other.backing_off and not other.held
        )

    def _ask(self, account: ReplicaState, instances: int) -> ScaleRequest:
        account.asked = instances
        account.ceiling = max(account.ceiling, account.requested, instances)
        self._touch(account)
        return ScaleRequest(account.task.name, instances)

    def finish(self, call: ScaleRequest, error: TemporaryError | PermanentError | None, now: float) -> None:
        """A call is over; the error says what went wrong."""
        account = self.accounts[call.name]
        account.asked = None
        self._touch(account)
        if error is None:
            self._accepted(account, call.instances, now)
            return
        account.doubt = account.doubt or not isinstance(error, (Conflict, PermanentError))
        if not account.doubt:
            account.ceiling = account.requested
        if isinstance(error, PermanentError):
            self._refused(account, error, now)
            return
        account.not_before = now + (error.delay_s or account.backoff.next())
        if account.episode.failed(now):
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
        self.occupied.note(KEPT, task.name, 0)
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
            self._keep_place(account.task)

    def _give_up(self, account: ReplicaState, why: str) -> None:
        """It stays as it is for now, and the engine plans without it."""
        task = account.task
        task.backing_off, account.trying = True, False
        account.unanswered.clear(account.requested)
        if task.demand != task.requested and not self.draining:
            task.reason = Reason(f"{why}: {account.said}", task.demand, task.requested)
            task.demand = task.requested
        self.tasks.changed.set()

    def _say(self, account: ReplicaState, why: str) -> None:
        if account.said != why:
            log.error("%s: %s", account.task.name, why)
        account.said = why

    def _touch(self, account: ReplicaState) -> None:
        """No answer that was asked for before now says what is requested of it."""
        self._touches += 1
        account.touched = self._touches

    # The end

    def drain(self) -> None:
        """Asks for none of anything, as soon as it may."""
        self.draining = True
        for account in self.accounts.values():
            account.not_before = 0.0

    def next_due(self) -> float | None:
        """When something can be asked for again: monotonic seconds. A time that has come stays until
        `reconcile` has been called, which is enough: what it cannot ask for then waits for something else."""
        if not self.acting or self.leaving:
            return None
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
        """Nothing is under way, and after `drain` nothing is asked for any more."""
        accounts = self.accounts.values()
        busy = any(account.asked is not None for account in accounts)
        return not busy and not (self.draining and not self.leaving and any(a.ceiling for a in accounts))

    def left(self) -> list[str]:
        """What is asked for still."""
        return [f"{a.ceiling} of {a.task.name}" for a in self.accounts.values() if a.ceiling]
