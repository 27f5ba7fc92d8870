"""Containers that drain: quieted, and stopped once they are idle or their time is up.

Pure: no I/O, no clock, no threads. The caller holds the lock of `Tasks`; times are monotonic seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from microscaling.demand.drain import Activity
from microscaling.demand.task import Task
from microscaling.scheduler.containers.container import PARKED, UNSTARTED, Container, Operation, Phase, Work
from microscaling.scheduler.containers.drain_file import Kept
from microscaling.scheduler.containers.inventory import Inventory
from microscaling.scheduler.containers.order import Standing, goes_before
from microscaling.scheduler.containers.watch import Draining, Watch
from microscaling.utils.text import span

log = logging.getLogger("mssscheduler")

CHOOSE_S = 3.0
"""Longest wait for the first look at the other containers, one of which may be idle."""
WAIT_S = 0.25
"""For so long a thread may wait for the second look: to plan it later would take longer."""
MAX_RETRY_S = 30.0
YOUNG_S = 3.0
"""A container that has just started gets no signal before this age."""
TRIES = 3
"""Failed calls after which a container that was quieted is given up."""


class Drains:
    """The drains of all containers."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.end_s = float("inf")
        """Seconds for the drains at the end of the agent."""
        self.end_by = float("inf")
        """The time of their end at the latest, monotonic seconds."""
        self.now = 0.0
        """The time of the last `observe`."""

    def observe(self, now: float) -> None:
        """Notes the end of the agent, and the tasks that wait for places; called before each planning."""
        inventory, self.now = self.inventory, now
        if inventory.draining and self.end_by == float("inf"):
            self.end_by = now + self.end_s
        # Mostly none drains, and this runs several times a second.
        draining = [c for c in inventory.restless() if c.is_draining]
        if not draining:
            return
        waiting = set()
        if inventory.room() <= 0:
            waiting = {c.task.name for c in inventory.restless() if c.wanted and c.phase in PARKED}
        for container in draining:
            assert container.drain is not None
            if not waiting - {container.task.name}:
                container.drain.others_since = None
            elif container.drain.others_since is None:
                container.drain.others_since = now

    def choose(self, task: Task, wanted: list[Container], count: int) -> list[Container]:
        """Returns the containers of a task that go, of those that are wanted."""
        if task.drain is None:
            # Those without work yet go first, then those to be replaced, then the newest. A back-off keeps
            # running ones, even new ones.
            failing = task.backing_off
            wanted.sort(
                key=lambda c: (
                    failing and not c.is_up, c.phase in UNSTARTED or c.is_fresh, not c.renewed, c.order,
                )
            )  # fmt: skip
            return wanted[-count:]
        return sorted(wanted, key=self._order)[:count]

    def exchange(self, task: Task) -> None:
        """Lets an idle container go in the place of one that drains and is at work."""
        # Of web tasks the one that has lost its name has no new work either.
        if task.busy is None or task.web is not None or self.inventory.leaving:
            return
        draining = self.inventory.books.restless(task.name)
        # Only after the first look at it, as until then any of the others is as good.
        working = [c for c in draining if c.is_draining and self._is_at_work(c) and self._can_come_back(c)]
        if not working:
            return
        mine = self.inventory.containers[task.name]
        idle = [c for c in mine if c.wanted and c.is_up and c.watch.activity is Activity.IDLE]
        # Those that were quieted come last, as they would have to be quieted again.
        working.sort(key=lambda c: (c.quieted is not None, c.order))
        for container, other in zip(working, sorted(idle, key=self._order), strict=False):
            self.call_off(container)
            other.unwanted = True

    def can_call_off(self, container: Container) -> bool:
        """True if a container that is to go may stay."""
        if not container.is_draining:
            return True
        # Others may have its place by now, and with both the cap would be exceeded.
        options = container.task.drain
        gave_place = options is not None and not options.holds_place
        return self._can_come_back(container) and not (gave_place and self.inventory.room() <= 0)

    def begins_anew(self, container: Container) -> None:
        """Takes the end of a container that the engine itself starts again: nothing is known of its new life
        yet."""
        container.quieted, container.watch = None, Watch()

    def call_off(self, container: Container) -> None:
        """Keeps a container that was to go."""
        if container.is_draining:
            quieted = ", and it is told to take jobs again" if container.quieted is not None else ""
            level = logging.INFO if container.drain and container.drain.said else logging.DEBUG
            log.log(level, "%s: %s %s is wanted again: its drain is called off%s", container.task.name,
                    self.inventory.tasks.noun, container.short_id, quieted)  # fmt: skip
        container.unwanted, container.drain = False, None
        container.naming.gave_up = container.naming.over = container.spent = False
        container.tries = 0

    def lets_go(self, container: Container, now: float) -> bool:
        """True if a running container that is to go gets its SIGTERM now."""
        options = container.task.drain
        if options is None or container.skips_drain:
            return True
        if container.drain is None:
            container.drain = Draining(now)
        drain = container.drain
        # One that the engine is about to start again does no work now.
        if container.restarting or drain.over or self.is_idle(container, now):
            return True
        if now < self.deadline(container):
            self.describe(container, now)
            return False
        # From now on no look counts, as it has had its time.
        drain.over = True
        if options.seconds:
            log.warning("%s: %s %s is %s after %s of drain: it gets its stop signal now",
                        container.task.name, self.inventory.tasks.noun, container.short_id,
                        self._state(container), span(now - drain.since))  # fmt: skip
        return True

    def is_idle(self, container: Container, now: float) -> bool:
        """True if a look has found the container idle, about one delay of its source ago; the second look
        follows right before the signal."""
        busy, options = container.task.busy, container.task.drain
        if container.watch.activity is Activity.UNSEEN:
            return True
        since, quieted = container.watch.idle_since, container.quieted
        if busy is None or options is None or since is None or self._is_young(container, now):
            return False
        # Until it is quieted, a job may begin at any time, so an earlier look proves nothing.
        if options.has_quiet and (quieted is None or since < quieted):
            return False
        return now >= since + busy.delay_s - WAIT_S

    def deadline(self, container: Container) -> float:
        """Returns the time at which a container that drains gets its SIGTERM at the latest."""
        drain, options = container.drain, container.task.drain
        assert drain is not None
        if options is None:  # it waits only for the end of its last requests
            web = container.task.web
            return min(drain.since + (web.unlist_s if web else 0.0), self.end_by)
        times = [drain.since + options.seconds]
        if options.seconds_for_others is not None and drain.others_since is not None:
            times.append(drain.others_since + options.seconds_for_others)
        return min(*times, self.end_by)

    def next_call(self, container: Container, now: float) -> Work | None:
        """Returns the call that a running container needs, if it does not get its SIGTERM."""
        options, watch = container.task.drain, container.watch
        if now < watch.retry_at:
            return None
        # It is wanted again, and still takes no jobs.
        if not container.unwanted:
            return Work.RESUME if container.quieted is not None else None
        quiet = options is not None and options.has_quiet and container.quieted is None
        due = quiet and self._is_chosen(container, now) and not self._is_young(container, now)
        return Work.QUIET if due else None

    def keep_or_give_up(self, container: Container) -> None:
        """Lets a container go that was quieted, and cannot be resumed."""
        if container.quieted is not None and not container.unwanted and not self._can_come_back(container):
            container.unwanted = True

    def on_done(self, operation: Operation, error: Exception | None, now: float) -> None:
        """Takes the result of a quiet or resume call."""
        container, watch = operation.container, operation.container.watch
        if error is None:
            watch.tries, watch.retry_at = 0, 0.0
            watch.idle_since = None  # before, it could still take a job
            container.quieted = now if operation.work is Work.QUIET else None
            return
        watch.tries += 1
        watch.retry_at = now + min(MAX_RETRY_S, 0.5 * 2.0 ** min(watch.tries, 8))
        log.log(
            logging.WARNING if watch.tries == 1 else logging.DEBUG,
            "%s: cannot %s: %s %s: %s", container.task.name, operation.work.value,
            self.inventory.tasks.noun, container.short_id, error,
        )  # fmt: skip

    def second_look(self, container: Container) -> float | None:
        """Returns the earliest time of the look right before the SIGTERM; None if there is none, as the
        container does not get it for being idle."""
        drain, busy, since = container.drain, container.task.busy, container.watch.idle_since
        if drain is None or busy is None or drain.over or container.restarting or container.skips_drain:
            return None
        if container.watch.activity is Activity.UNSEEN:
            return None
        return 0.0 if since is None else since + busy.delay_s

    def last_look(self, container: Container, activity: Activity, asked: float) -> bool:
        """Takes the look right before a SIGTERM. Returns True if it must not be sent, as the container is not
        idle: it drains on."""
        container.watch.take(activity, asked)
        if activity is Activity.IDLE or container.phase not in (Phase.STOPPING, Phase.FREEZING):
            if container.drain is not None and container.drain.said:
                log.info("%s: %s %s is idle, %s after the begin of its drain", container.task.name,
                         self.inventory.tasks.noun, container.short_id,
                         span(asked - container.drain.since))  # fmt: skip
            return False
        container.busy, container.phase, container.pause_owed = False, Phase.RUNNING, False
        container.frozen_since = None
        return True

    def describe(self, container: Container, now: float) -> None:
        """Logs once that a container drains and is at work."""
        drain = container.drain
        if drain is None or drain.said or not container.unwanted or not self._is_at_work(container):
            return
        if not self._is_chosen(container, now):
            return
        drain.said = True
        place = "" if container.holds_place else "; others may start in its place, over the cap"
        log.info("%s: %s %s drains: it is %s; at most %s%s", container.task.name,
                 self.inventory.tasks.noun, container.short_id, self._state(container),
                 span(self.deadline(container) - now), place)  # fmt: skip

    def write(self, task: Task) -> None:
        """Writes the number of the task's containers that drain, and the time at which the last has gone."""
        if not (task.drain or task.web or task.draining):
            return
        mine = self.inventory.books.restless(task.name)
        mine = [c for c in mine if c.is_draining and (task.drain or task.web)]
        task.draining = len(mine)
        task.drains_until = max(map(self.deadline, mine), default=None)

    def kept(self) -> dict[str, Kept]:
        """Returns the state for the next agent, by id."""
        return {
            c.id: Kept(
                c.drain.since if c.drain else None,
                c.quieted is not None or (c.is_draining and c.busy),
                c.frozen_since,
                c.frozen_since is not None and c.is_fresh,
            )
            for c in self.inventory.restless()
            if c.id and (c.drain is not None or c.quieted is not None or c.frozen_since is not None)
        }

    def times(self) -> Iterator[float]:
        """Yields the times at which there may be work."""
        for container in self.inventory.restless():
            drain, busy = container.drain, container.task.busy
            if drain is None or not container.is_draining or container.task.drain is None:
                continue
            yield self.deadline(container)
            yield container.watch.retry_at
            yield drain.since + CHOOSE_S
            if container.started is not None:
                yield container.started + YOUNG_S
            if busy is not None and container.watch.idle_since is not None:
                yield container.watch.idle_since + busy.delay_s - WAIT_S

    def running(self, task: Task) -> Iterable[Container]:
        """Returns the containers of a task that do work, those that drain included."""
        return [c for c in self.inventory.containers[task.name] if c.is_up and c.id]

    def standing(self, container: Container) -> Standing:
        """Returns what counts of a container in the order of the ends."""
        watch, works = container.watch, container.is_up and container.healthy is not False
        works = works and not container.is_fresh
        draining = container.drain is not None
        return Standing(container.order, works, watch.activity, watch.since, draining, container.renewed)

    def _order(self, container: Container) -> tuple[int, float, bool, int]:
        return goes_before(self.standing(container))

    def _is_at_work(self, container: Container) -> bool:
        """True if a look since the begin of its drain has not found it idle."""
        drain, watch = container.drain, container.watch
        return drain is not None and watch.looked >= drain.since and watch.activity is not Activity.IDLE

    def _can_come_back(self, container: Container) -> bool:
        options = container.task.drain
        over = container.drain is not None and container.drain.over
        if container.outdated or over:
            return False
        if options is None:  # an unlisted one is listed again
            return container.task.web is not None and not container.naming.over
        # A call that is under way may quiet it in this moment.
        quieted = container.quieted is not None or container.busy
        return not quieted or (options.can_resume and container.watch.tries < TRIES)

    def _is_young(self, container: Container, now: float) -> bool:
        """True if the program in the container may not hear a signal yet."""
        # The first process of a container ignores signals that it has no handler for: it would take a job,
        # and be killed in it at the end of its grace.
        return container.started is not None and now < container.started + YOUNG_S

    def _is_chosen(self, container: Container, now: float) -> bool:
        """True if no other container is known to be idle in its place."""
        drain = container.drain
        if drain is None:
            return False
        if container.task.busy is None or now >= drain.since + CHOOSE_S:
            return True
        return all(c.watch.looked >= drain.since for c in self.running(container.task))

    def _state(self, container: Container) -> str:
        return (
            "at work, as far as is known," if container.task.busy is None else container.watch.activity.value
        )
