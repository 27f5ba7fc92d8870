"""The names of containers in DNS: listed late, and unlisted early.

Pure: no I/O, no clock, no threads. The caller holds the lock of `Tasks`; times are monotonic seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from microscaling.demand.task import Task
from microscaling.errors import NotReady
from microscaling.scheduler.containers.backend import BackendUnavailable, Unsafe
from microscaling.scheduler.containers.container import Container, Operation, Work
from microscaling.scheduler.containers.drains import Drains
from microscaling.scheduler.containers.inventory import Inventory
from microscaling.scheduler.containers.order import goes_before
from microscaling.scheduler.containers.watch import Draining
from microscaling.utils.address import number_of
from microscaling.utils.text import span

log = logging.getLogger("mssscheduler")

UNSAFE_S = 10.0
"""For so long a container counts as one that cannot be unlisted now."""
GIVE_UP_S = 60.0
"""Longest time for it: a whole service is unlisted one container after the other."""
TRIES = 3
"""Failed calls after which a container is stopped with its name."""
POLL_S = 0.25
"""Interval of the looks whether a new container is ready."""
MAX_RETRY_S = 10.0


class Names:
    """When the containers of web tasks get their names, and when they lose them."""

    def __init__(self, inventory: Inventory, drains: Drains) -> None:
        self.inventory = inventory
        self.drains = drains

    def choose(self, task: Task, wanted: list[Container], count: int) -> list[Container]:
        """Returns the containers of a task that go, of those that are wanted."""
        if task.web is None:
            return self.drains.choose(task, wanted, count)
        inventory = self.inventory
        able = [c for c in wanted if not (inventory.leaving and inventory.is_others(c.id))]
        return sorted(able, key=self._order)[:count]

    def next_step(self, container: Container, now: float) -> tuple[bool, Work | None]:
        """Returns whether a running container gets its SIGTERM now, else the call that it needs before."""
        goes = container.unwanted and self.lets_go(container, now)
        if goes and self.drains.lets_go(container, now):
            return True, None
        inventory = self.inventory
        if inventory.away:
            return False, None
        work = self.next_call(container, now)
        if inventory.leaving:  # none stays behind without its name
            return False, work if work is Work.LIST else None
        if work is None and (goes or not container.unwanted):
            work = self.drains.next_call(container, now)
        return False, work

    def waited(self, container: Container, now: float) -> tuple[float, bool]:
        """Returns for how long a container has run without its name (seconds; infinite if it is to get it at
        once), and whether it had it before."""
        naming, warm, shake = container.naming, container.task.warm, container.handshake
        since = naming.since if container.started is None else container.started
        if warm is not None and not container.restarting:
            if not warm.has_go and shake.ready:  # a pause has made it unhealthy until its next probe
                return float("inf"), naming.unlisted_at is not None
            if warm.has_go:  # before that it does not listen
                since = shake.since if shake.told else now
        hurries = self.inventory.leaving or container.task.web is None or since is None
        return float("inf") if hurries or since is None else now - since, naming.unlisted_at is not None

    def leave(self) -> None:
        """Takes the end of the agent, which leaves all that runs as it is."""
        # A copy is left to the next agent; an original may be all that a person has of the service.
        for container in self.inventory.restless():
            if container.is_draining and self.inventory.is_others(container.id) and not container.naming.over:
                self.drains.call_off(container)

    def lets_go(self, container: Container, now: float) -> bool:
        """True if the name of a running container that is to go does not keep it from its end any more."""
        web, naming = container.task.web, container.naming
        if web is None or naming.over or container.restarting or not self._unlists(container):
            return True
        # So it counts as draining from the first moment, and the file for the next agent has it.
        if container.drain is None:
            container.drain = Draining(now)
        if (naming.listed is False and naming.unlisted_at is None) or naming.gave_up:  # it never had a name
            end = now
        elif naming.listed is False:
            end = self._end(container)
        else:
            end = min(container.drain.since + GIVE_UP_S, self.drains.end_by)
        if now < end:
            return False
        # What it is told, and the time for its jobs, begin only now: no new request comes any more.
        naming.over = True
        container.drain.since = now
        return True

    def next_call(self, container: Container, now: float) -> Work | None:
        """Returns the call that gives a running container its name, or takes it."""
        web, naming = container.task.web, container.naming
        if now < naming.retry_at or container.restarting:
            return None
        if container.unwanted:
            waits = naming.over or naming.gave_up or naming.listed is False or not self._unlists(container)
            return None if web is None or waits else Work.UNLIST
        if container.paused:
            return None
        if naming.listed is True or (web is None and naming.listed is None):
            return None
        naming.since = now if naming.since is None else naming.since
        return Work.LIST

    def on_done(self, operation: Operation, error: Exception | None, now: float, address: str) -> None:
        """Takes the result of such a call; `address`: that of a container that has got its name."""
        container, naming = operation.container, operation.container.naming
        if error is None:
            naming.tries, naming.retry_at = 0, 0.0
            if operation.work is Work.LIST:
                naming.listed, naming.unlisted_at = True, None
                container.address = number_of(address) or container.address
            else:
                self._unlisted(container, now)
        elif isinstance(error, NotReady):
            naming.listed, naming.retry_at = False, now + POLL_S
        elif operation.work is Work.LIST:
            self._not_listed(container, error, now)
        else:
            self._not_unlisted(container, error, now)

    def begins(self, container: Container) -> None:
        """Takes the create of a container: a new one has no name yet, if its task is a web task."""
        if container.task.web is not None:
            container.naming.listed = None if self.inventory.is_others(container.id) else False

    def times(self) -> Iterator[float]:
        """Yields the times at which there may be work."""
        for container in self.inventory.restless():
            naming = container.naming
            if not container.is_up or (container.task.web is None and naming.listed is not False):
                continue
            yield naming.retry_at
            if container.drain is not None and container.unwanted and not naming.over:
                yield self._end(container) if naming.listed is False else container.drain.since + GIVE_UP_S

    def _unlists(self, container: Container) -> bool:
        # At the end of the agent, what others have made stays as it is.
        return not (self.inventory.draining and self.inventory.is_others(container.id))

    def _end(self, container: Container) -> float:
        """Returns the time at which an unlisted container stops."""
        web, since = container.task.web, container.naming.unlisted_at
        end = (since if since is not None else 0.0) + (web.unlist_s if web is not None else 0.0)
        return min(end, self.drains.end_by)

    def _unlisted(self, container: Container, now: float) -> None:
        container.naming.listed, container.naming.unlisted_at = False, now
        if container.drain is not None:
            container.drain.since = now
        web = container.task.web
        if container.unwanted and web is not None:
            log.info("%s: %s %s is unlisted, and stops in %s", container.task.name,
                     self.inventory.tasks.noun, container.short_id, span(web.unlist_s))  # fmt: skip

    def _not_listed(self, container: Container, error: Exception, now: float) -> None:
        naming = container.naming
        if isinstance(error, Unsafe):
            # It still has the requests of before, which it would lose: a new one takes its place.
            log.info("%s: %s %s is not listed again, as %s", container.task.name,
                     self.inventory.tasks.noun, container.short_id, error)  # fmt: skip
            naming.listed, container.unwanted = False, True
            return
        naming.tries += 1
        naming.retry_at = now + min(MAX_RETRY_S, 0.25 * 2.0 ** min(naming.tries, 8))
        self._say_failed(container, "listed", error)

    def _not_unlisted(self, container: Container, error: Exception, now: float) -> None:
        naming, task = container.naming, container.task
        naming.retry_at, naming.listed = now + 0.5, None  # a part of its names may be gone
        if isinstance(error, BackendUnavailable):
            return
        if isinstance(error, Unsafe):
            # Not for ever, as a container that starts may take the free address below it.
            naming.unsafe_until = now + UNSAFE_S
            if container.unwanted and not container.outdated and self._others(container, now):
                self.drains.call_off(container)
                return
        else:
            naming.tries += 1
            self._say_failed(container, "unlisted", error)
            if naming.tries < TRIES:
                return
        if container.unwanted and not naming.gave_up:
            naming.gave_up = True
            log.warning("%s: %s %s is stopped without being unlisted, as %s", task.name,
                        self.inventory.tasks.noun, container.short_id, error)  # fmt: skip

    def _others(self, container: Container, now: float) -> bool:
        """True if another container of the task may go in its place."""
        others = (c for c in self.inventory.containers[container.task.name] if c is not container)
        return any(
            c.wanted and c.is_up and c.naming.unsafe_until <= now and not self.inventory.is_others(c.id)
            for c in others
        )

    def _say_failed(self, container: Container, what: str, error: Exception) -> None:
        level = logging.WARNING if container.naming.tries == 1 else logging.DEBUG
        log.log(level, "%s: %s %s cannot be %s: %s", container.task.name,
                self.inventory.tasks.noun, container.short_id, what, error)  # fmt: skip

    def _order(self, container: Container) -> tuple[bool, int, bool, float, bool, float]:
        standing = self.drains.standing(container)
        if container.naming.listed is False:  # nothing has reached it yet
            standing = standing.without_work()
        kind, since, renewed, order = goes_before(standing)
        unsafe = container.naming.unsafe_until > self.drains.now
        # The highest address first, so that no hole opens below one that has still to go.
        place = -float(container.address) if container.address else float(order)
        return self.inventory.is_others(container.id), kind, unsafe, since, renewed, place
