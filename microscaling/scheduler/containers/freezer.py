"""Containers that are frozen in place of being stopped, and thawed when their task gets its places back.

Pure: no I/O, no clock, no threads. The caller holds the lock of `Tasks`; times are monotonic seconds.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

from microscaling.demand.task import Task
from microscaling.scheduler.containers.backend import BackendUnavailable, Unanswered
from microscaling.scheduler.containers.container import COLD, STILL, Container, Operation, Phase, Work
from microscaling.scheduler.containers.drain_file import Kept
from microscaling.scheduler.containers.inventory import Inventory
from microscaling.scheduler.containers.paused import Paused
from microscaling.utils.text import span

log = logging.getLogger("mssscheduler")

TRIES = 3
"""Refusals in a row after which a container is stopped, or removed, in place of being frozen or thawed."""
LATE_S = 30.0
"""For so long after its time-out an engine may still carry out a call."""
RETRY_S = 0.1
"""Delay after the first refusal: an engine fails to freeze a container whose processes are busy forking."""


class Freezer:
    """Which containers are frozen, which of them go on, and how the others end.

    A frozen container takes no place under the cap. It ends when it has been frozen for too long: it is
    thawed for its grace if there is a place, else killed as it is.
    """

    def __init__(self, inventory: Inventory, paused: Paused) -> None:
        self.inventory = inventory
        self.paused = paused
        self._end_by = float("inf")
        self._now = 0.0
        """The time of the last `observe`."""
        self._cold: dict[Container, None] = {}
        """Those that have been frozen, and perhaps are no more."""

    @property
    def is_used(self) -> bool:
        """True if a task has its containers frozen."""
        return any(task.freezes for task in self.inventory.by_name.values())

    def observe(self, now: float, end_by: float) -> None:
        """Marks the frozen containers that are to end; called before each planning. `end_by`: the latest time
        for it at the end of the agent."""
        inventory, self._end_by, self._now = self.inventory, end_by, now
        if inventory.leaving:
            return
        places: Counter[str] = Counter()
        # Those of the pool stay for as long as it wants them.
        for container in [c for c in self._still() if not c.is_fresh]:
            name = container.task.name
            if now >= self._ends_at(container) or not self._fits(container, places[name]):
                self._end(container)
            else:
                places[name] += 1

    def may_freeze(self, container: Container) -> bool:
        """True if a running container that is to go is frozen in place of being stopped."""
        inventory, yielding = self.inventory, container.task.yielding
        if yielding is None or container.spent or container.paused or container.restarting:
            return False
        if self._now < container.late_thaw_until:
            return False
        if inventory.leaving or container.outdated or self._ends_all(container.task):
            return False
        # What others have made, they may stop or start at any time.
        if container.naming.gave_up or inventory.is_others(container.id):
            return False
        # One whose time for its last job is up has not become idle.
        if yielding.waits and container.drain is not None and container.drain.over:
            return False
        mine = inventory.books.restless(container.task.name)
        # One that is about to be ended counts no more: another may be frozen for it.
        return sum(1 for c in mine if c.phase in COLD and not (c.spent or c.is_fresh)) < yielding.most

    def choose(self, task: Task, missing: int) -> int:
        """Has frozen containers of a task go on as soon as there are places; returns how many. Those come
        first that have been frozen for the longest time, and those of the pool last."""
        mine = self.inventory.books.restless(task.name)
        able = [c for c in mine if c.phase is Phase.FROZEN and not c.unwanted and not c.unknown]
        chosen = sorted(able, key=_age)[:missing]
        for container in chosen:
            container.phase, container.warm = Phase.CHOSEN, False
        return len(chosen)

    def next_step(self, container: Container) -> None:
        """Keeps one frozen that was to go on, and is not wanted any more."""
        unneeded = container.unwanted or container.warm or self.inventory.leaving
        if container.phase is Phase.CHOSEN and unneeded:
            container.phase, container.unwanted = Phase.FROZEN, False
        elif self.inventory.leaving:
            container.unwanted = container.spent = False  # it is left to the next agent

    def ends(self, now: float, room: int) -> Iterator[Container]:
        """Yields the frozen containers that end now, in their new phases. `room`: the free places."""
        for container in [c for c in self._still() if c.unwanted]:
            if container.busy or container.unknown or now < container.not_before:
                continue
            if self.inventory.is_quiet(container, now):
                continue
            if container.is_fresh:  # it has no work to end
                container.phase = Phase.REMOVING
                yield container
                continue
            # Each use of a place comes after those of the tasks that wait for one. The maximum of its task
            # may be another one by now, and does not count: its number and its ports it has had all the time.
            if room > 0 and container.tries < TRIES:
                room -= 1
                container.phase = Phase.THAWING
                yield container
            elif now >= self._ends_by(container) or container.tries >= TRIES:
                self._say_killed(container, now)
                container.phase = Phase.REMOVING
                yield container

    def frozen(self, container: Container) -> None:
        """Takes the success of a freeze: the container gives its place."""
        wanted = not (container.unwanted or container.warm)
        container.phase = Phase.CHOSEN if wanted else Phase.FROZEN
        if container.unknown:  # else it is another call's, and the one without an answer may still come
            container.late_pause_until = 0.0
        container.unwanted = container.may_run = container.unknown = False
        container.tries, container.drain = 0, None
        container.naming.over = container.naming.gave_up = False
        log.debug("%s: %s is frozen", container.task.name, container.short_id)
        if self._ends_all(container.task):
            self._end(container)

    def thawed(self, container: Container) -> None:
        """Takes the success of a thaw, or the end of a pause by others."""
        container.phase, container.may_run, container.unknown = Phase.RUNNING, True, False
        container.frozen_since, container.tries, container.thaw_unconfirmed = None, 0, False
        container.warm = False
        if self._thaw_tells(container):
            container.begins_work(self._now)
            container.handshake.ready = container.handshake.told = True
        # What has been seen of it was before.
        container.watch.idle_since = None
        log.debug("%s: %s goes on", container.task.name, container.short_id)

    def begins(self, container: Container, now: float) -> None:
        """Takes the plan of a freeze or thaw."""
        if container.phase is Phase.FREEZING:
            container.pause_owed, container.frozen_since = True, now
            self._cold[container] = None
        elif container.phase is Phase.THAWING:
            container.thaw_owed = container.may_run = True

    def is_made(self, operation: Operation, now: float) -> None:
        """Takes the last moment before a call: from now on the container may be at work."""
        if operation.work is Work.THAW and self._thaw_tells(operation.container):
            operation.container.begins_work(now)

    def done(self, work: Work, container: Container) -> None:
        """Takes a success."""
        if work is Work.FREEZE and container.phase is Phase.FREEZING:
            self.frozen(container)
        elif work is Work.THAW and container.phase is Phase.THAWING:
            self.thawed(container)

    def failed(self, operation: Operation, error: Exception, now: float) -> None:
        """Takes a refusal, or a missing answer."""
        container, freezes = operation.container, operation.work is Work.FREEZE
        if container.phase is not (Phase.FREEZING if freezes else Phase.THAWING):
            return  # an event has shown the outcome
        # Only a listing shows what has come of it.
        if isinstance(error, (BackendUnavailable, Unanswered)):
            container.unknown = True
            container.late_pause_until = now + LATE_S if freezes else 0.0
            container.thaw_unconfirmed = not freezes
            container.late_thaw_until = 0.0 if freezes else now + LATE_S
            return
        container.tries += 1
        container.not_before = now + RETRY_S * 2.0 ** min(container.tries, 6)
        level = logging.DEBUG
        if freezes:
            self.keeps_running(container)
            if container.tries >= TRIES:
                container.spent, level = True, logging.WARNING
        else:
            if not container.thaw_unconfirmed:
                container.phase = Phase.FROZEN if container.unwanted else Phase.CHOSEN
                container.may_run = container.thaw_owed = False
            if container.tries >= TRIES:
                self._end(container)
                level = logging.WARNING
        then = "" if level == logging.DEBUG else "; it is stopped" if freezes else "; it is removed"
        log.log(level, "%s: cannot %s %s: %s%s", container.task.name, operation.work.value,
                container.short_id, error, then)  # fmt: skip

    def called_off(self, operation: Operation) -> None:
        """Takes a freeze or thaw that was not made, as it was no longer wanted."""
        container = operation.container
        if container.phase is Phase.FREEZING:
            self.keeps_running(container)
        elif container.phase is Phase.THAWING:
            container.phase, container.unwanted = Phase.FROZEN, False
            container.thaw_owed = container.may_run = False

    def keeps_running(self, container: Container) -> None:
        """Takes a freeze that was not made, or was refused."""
        container.phase, container.pause_owed, container.frozen_since = Phase.RUNNING, False, None

    def note(self, container: Container, paused: bool, now: float) -> None:
        """Takes an event: the begin or the end of a pause, the agent's own or from outside."""
        if paused and self._is_late(container, now):
            self.frozen(container)
        elif paused and container.pause_owed:
            # No news of a freeze that is under way: this may be the event of an earlier one, and it still
            # runs. Only the answer shows, or a listing, that it has stopped.
            container.pause_owed = False
        elif not paused and container.thaw_owed:
            container.thaw_owed = False
            if container.phase is Phase.THAWING and not container.busy:
                self.thawed(container)
        elif container.phase not in COLD:
            self.paused.note(container, paused)
        elif not paused and container.phase in STILL:
            self._thawed_by_others(container)

    def seen(self, container: Container, paused: bool, now: float) -> None:
        """Takes the state of a container in a listing, with no operation under way."""
        if paused and self._is_late(container, now):
            self.frozen(container)
        elif self._waits_stopped(container):
            self.paused.note(container, False)
            if not paused and container.handshake.ready and container.phase is Phase.RUNNING:
                self._thawed_by_others(container)
            return
        elif container.phase not in COLD:
            self.paused.note(container, paused)
            return
        # The stream may have lost these events: a later one is by others.
        container.pause_owed = container.thaw_owed = False
        if paused and container.phase is Phase.FREEZING:
            self.frozen(container)
        elif paused and container.phase is Phase.THAWING and container.thaw_unconfirmed:
            pass  # it has its place, and is thawed again
        elif paused and container.phase is Phase.THAWING:
            container.phase = Phase.FROZEN if container.unwanted else Phase.CHOSEN
            container.may_run = False
        elif not paused and container.phase in STILL:
            self._thawed_by_others(container)
        elif not paused:
            self.thawed(container)

    def remains(self, container: Container) -> None:
        """Takes a removal that was not answered, and has not been carried out."""
        container.phase = Phase.FROZEN
        self._cold[container] = None

    def adopt(self, container: Container, kept: Kept | None, now: float) -> None:
        """Takes over a paused container. `kept`: what the file of an earlier agent has of it."""
        task, known = container.task, self.inventory.knows_frozen
        since = kept.frozen if kept is not None else None
        if since is None and self._waits_stopped(container):
            return
        # No label shows it, as labels cannot change. Without the file, one of a task that freezes was most
        # likely frozen by the agent.
        if since is None and (known or not task.freezes or self.inventory.is_others(container.id)):
            self.paused.note(container, True)
            return
        container.phase, container.may_run = Phase.FROZEN, False
        container.frozen_since = now if since is None else since
        container.warm = kept.warm if kept is not None else task.yielding is None
        container.handshake.ready, container.handshake.may_work = container.warm, not container.warm
        self._cold[container] = None
        log.info("%s: %s %s is frozen since an earlier agent", task.name,
                 self.inventory.tasks.noun, container.short_id)  # fmt: skip

    def ended(self, container: Container, how: str) -> None:
        """Takes the end of a container that was frozen."""
        if container.phase in STILL and not container.unwanted:
            log.warning("%s: frozen %s %s %s", container.task.name, self.inventory.tasks.noun,
                        container.short_id, how)  # fmt: skip
        container.frozen_since, container.thaw_unconfirmed = None, False
        container.pause_owed = container.thaw_owed = False

    def times(self) -> Iterator[float]:
        """Yields the times at which there may be work."""
        for container in self._still():
            if not container.is_fresh:
                yield self._ends_by(container) if container.unwanted else self._ends_at(container)

    def _end(self, container: Container) -> None:
        container.phase, container.unwanted, container.spent = Phase.FROZEN, True, True

    def _still(self) -> list[Container]:
        """Returns the frozen containers, those that have been so for the longest time first."""
        known = self.inventory.by_nonce
        for container in [c for c in self._cold if c.phase not in COLD or known.get(c.nonce) is not c]:
            del self._cold[container]
        return sorted((c for c in self._cold if c.phase in STILL), key=_age)

    def _fits(self, container: Container, place: int) -> bool:
        """True if a frozen container may stay so, for which there are `place` before it."""
        task, yielding = container.task, container.task.yielding
        stale = task.version and container.version and container.version != task.version
        return yielding is not None and place < yielding.most and not stale and not self._ends_all(task)

    def _ends_at(self, container: Container) -> float:
        """Returns the time at which a frozen container has been so for too long."""
        yielding, since = container.task.yielding, container.frozen_since or 0.0
        if yielding is None:
            return since
        # One that only waits for its place is about to go on, unless its job is another's by then.
        stays = container.phase is Phase.CHOSEN and not yielding.leased
        return float("inf") if stays else since + yielding.seconds

    def _ends_all(self, task: Task) -> bool:
        return self.inventory.draining or task.name in self.inventory.departing

    def _ends_by(self, container: Container) -> float:
        """Returns the time until which one that is to end may wait for a place."""
        return self._end_by if self.inventory.draining else self._ends_at(container)

    def _is_late(self, container: Container, now: float) -> bool:
        """True if a container that is paused now is so by a call of the agent that was not answered."""
        late = now < container.late_pause_until and container.phase is Phase.RUNNING
        if late:
            container.frozen_since, container.late_pause_until = now, 0.0
            self._cold[container] = None
        return late

    def _thaw_tells(self, container: Container) -> bool:
        """True if a container is told go by its thaw."""
        warm = container.task.warm
        return self.inventory.thaw_is_go and warm is not None and warm.stops

    def _waits_stopped(self, container: Container) -> bool:
        """True for one that runs, and whose stop is its own sign that it waits for go, not a pause."""
        runs = container.phase in (Phase.RUNNING, Phase.STOPPING)
        return runs and not container.handshake.told and self._thaw_tells(container)

    def _thawed_by_others(self, container: Container) -> None:
        log.info("%s: frozen %s %s is unpaused from outside: it runs, and counts again", container.task.name,
                 self.inventory.tasks.noun, container.short_id)  # fmt: skip
        container.unwanted = container.spent = False
        self.thawed(container)

    def _say_killed(self, container: Container, now: float) -> None:
        since = container.frozen_since
        log.warning(
            "%s: frozen %s %s is killed, %s after it was frozen: there is no place to let it end",
            container.task.name, self.inventory.tasks.noun, container.short_id,
            span(now - (now if since is None else since)),
        )  # fmt: skip


def _age(container: Container) -> tuple[bool, float, int]:
    return container.warm, container.frozen_since or 0.0, container.order
