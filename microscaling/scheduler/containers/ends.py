"""Containers that end by themselves: with a failure, with their work done, or in vain."""

from __future__ import annotations

import logging

from microscaling.demand.task import Task
from microscaling.scheduler.containers.backend import Unanswered
from microscaling.scheduler.containers.container import Container, Operation, Phase
from microscaling.scheduler.containers.crash_backoff import BY_ENGINE
from microscaling.scheduler.containers.crash_backoff import IN_VAIN as BACKS_OFF_IN_VAIN
from microscaling.scheduler.containers.crash_backoffs import CrashBackoffs
from microscaling.scheduler.containers.inventory import Inventory
from microscaling.scheduler.containers.turnover import IN_VAIN, Turnover

log = logging.getLogger("mssscheduler")

REMOVE_AFTER_S = 1.0
"""Delay from the end of a container that was stopped to its removal."""
SAID_FROM = 3
"""Paced starts in a row before a log line: fewer may just be jobs shorter than the interval of the
readings."""


class Ends:
    """Judges unexpected ends, and times the replacements. An end has the same effect however it became known.

    Exit code 0 is no failure: workers that end with their job, or with the queue, are replaced at once. A
    container that ends with code 0 and without a sign of work is replaced once a second; after 20 such starts
    in a row its task backs off.
    """

    def __init__(self, inventory: Inventory, crash_backoffs: CrashBackoffs) -> None:
        self.inventory = inventory
        self.crash_backoffs = crash_backoffs
        self.shared = False
        """Others stop containers of the tasks, too, which is no news for each of them."""
        self._turnovers: dict[str, Turnover] = {}
        self._mentioned: set[str] = set()
        """Tasks with containers that are logged as ending with code 0."""

    def add(self, task: Task) -> None:
        """Adds a task, or replaces the one with its name."""
        self._turnovers[task.name] = Turnover(task)

    def drop(self, name: str) -> None:
        """Drops a task."""
        del self._turnovers[name]
        self._mentioned.discard(name)

    def observe(self, now: float) -> bool:
        """Checks the readings. Returns True if a delayed container may start now."""
        released = 0
        for name, turnover in self._turnovers.items():
            if turnover.observe(now):
                self.crash_backoffs.wake(name)
                released += self._release(name)
        return released > 0

    def excuse(self) -> None:
        """Forgives ends in vain after an outage: the engine may have caused them."""
        for name, turnover in self._turnovers.items():
            turnover.reset()
            self._release(name)

    def judge(self, container: Container, how: str, alive: float, now: float) -> None:
        """Judges an unexpected end of a container that was known to run at `alive` (monotonic seconds)."""
        task = container.task
        up_s = self._up_s(container, alive)
        how = f"{self.inventory.tasks.noun} {container.short_id} {how}"
        container.unexpected_exit = True
        if container.signalled:
            log.log(logging.DEBUG if self.shared else logging.WARNING, "%s: %s", task.name, how)
        elif container.exit_code == 0:
            self._done(container, how, up_s, now)
        elif up_s < self.crash_backoffs.of(task.name).stable_s and not container.outage:
            self.crash_backoffs.record_failure(task, how, now, container.exit_code)
        else:
            log.warning("%s: %s", task.name, how)

    def restarts(self, container: Container, how: str, alive: float, now: float) -> None:
        """Marks a running container that has ended as one that the engine itself starts again; that is a
        failure with any exit code, if it comes soon."""
        if not container.is_up or container.unwanted:
            return
        task = container.task
        how = f"{self.inventory.tasks.noun} {container.short_id} {how}"
        soon = self._up_s(container, alive) < self.crash_backoffs.of(task.name).stable_s
        if soon and not container.outage:
            self.crash_backoffs.record_failure(task, how, now, container.exit_code, BY_ENGINE)
        else:
            log.info("%s: %s, and is started again by the engine", task.name, how)
        container.restarting, container.stable = True, False
        # The engine may have given it up, which the next listing shows.
        container.unknown = True

    def unanswered(self, operation: Operation, error: Exception, now: float) -> None:
        """Judges a create or start without an answer, or with a temporary failure of the backend. A hanging
        engine is not the task's fault."""
        container = operation.container
        why = f"cannot {operation.work.value} {container.short_id}: {error}"
        blame = container.wanted and not container.outage
        if blame and not self.engine_hangs(container, error, now):
            self.crash_backoffs.record_failure(container.task, why, now)
        else:
            log.debug("%s: %s", container.task.name, why)

    def engine_hangs(self, container: Container, error: Exception, now: float) -> bool:
        """True if this operation was not answered, and no other call in the second half of its time."""
        meanwhile = self.inventory.answered >= (container.asked + now) / 2
        return isinstance(error, Unanswered) and not meanwhile

    def pace(self, task: Task, now: float) -> None:
        """Marks the replacements among the new containers, and delays those for ends in vain."""
        turnover = self._turnovers[task.name]
        if not turnover.over:
            return
        # As `relief` they count as parked, so a replacement does not unsettle the task.
        for container in self.inventory.books.restless(task.name):
            if turnover.over and container.is_new:
                turnover.over -= 1
                container.relief = True
                if turnover.owed:
                    container.not_before, container.paced = turnover.next_start(now), True

    def settled(self, task: Task) -> None:
        """Drops the pending replacements, as the task has all its containers."""
        turnover = self._turnovers[task.name]
        turnover.over = turnover.owed = 0

    def begins(self, container: Container) -> None:
        """Counts a delayed container that is created now."""
        if container.paced:
            container.paced = False
            self._turnovers[container.task.name].in_vain += 1

    def remove_later(self, container: Container, now: float) -> None:
        """Delays the removal of an exited container."""
        # A removal costs the engine as much as a start, and no other task waits for it.
        if not self.inventory.draining and not self.inventory.leaving and not container.start_unconfirmed:
            container.not_before = max(container.not_before, now + REMOVE_AFTER_S)

    def remove_now(self) -> None:
        """Ends these delays, at the end of the agent."""
        for container in self.inventory.restless():
            if container.refused or (container.phase is Phase.EXITED and not container.failures):
                container.not_before = 0.0

    def _up_s(self, container: Container, alive: float) -> float:
        """Returns the uptime in seconds; at most 0 if it ended before its start was confirmed, infinite if it
        ran before this agent."""
        if container.started is not None:
            return alive - container.started
        return 0.0 if not container.stable or container.phase is Phase.STARTING else float("inf")

    def _done(self, container: Container, how: str, up_s: float, now: float) -> None:
        task = container.task
        turnover, backoff = self._turnovers[task.name], self.crash_backoffs.of(task.name)
        turnover.observe(now)
        turnover.over += 1
        if not turnover.ended_in_vain(container.started, up_s):
            turnover.worked()
            backoff.worked()
            container.unexpected_exit = False  # the output of thousands of jobs does not belong in this log
            if task.name not in self._mentioned:
                self._mentioned.add(task.name)
                nouns = self.inventory.tasks.nouns
                log.info("%s: %s that end with code 0 have done their work: no failures", task.name, nouns)
            log.debug("%s: %s", task.name, how)
        elif task.backing_off or turnover.in_vain >= IN_VAIN:
            backoff.back_off(f"{how}, {self._in_vain(turnover)}", now, BACKS_OFF_IN_VAIN)
        else:
            turnover.owe(container.started)
            told = turnover.in_vain >= SAID_FROM and not turnover.said
            turnover.said = turnover.said or told
            container.unexpected_exit = told
            pace = ": at most one start a second until there is one" if told else ""
            log.log(
                logging.INFO if told else logging.DEBUG,
                "%s: %s, %s%s", task.name, how, self._in_vain(turnover), pace,
            )  # fmt: skip

    def _in_vain(self, turnover: Turnover) -> str:
        work = "" if turnover.waits else ": nothing waits"
        return f"without a sign of work{work} ({turnover.in_vain} such in a row)"

    def _release(self, name: str) -> int:
        paced = [c for c in self.inventory.books.restless(name) if c.paced]
        for container in paced:
            container.paced, container.not_before = False, 0.0
        return len(paced)
