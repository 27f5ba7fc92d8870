"""The warm pool: containers that are started ahead, frozen once they are ready, and told go when they are
needed.

Pure: no I/O, no clock, no threads. The caller holds the lock of `Tasks`; times are monotonic seconds.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

from microscaling.demand.task import Task
from microscaling.errors import NotReady
from microscaling.scheduler.containers.container import STILL, UNSTARTED, Container, Operation, Phase, Work
from microscaling.scheduler.containers.inventory import Inventory
from microscaling.scheduler.containers.watch import Handshake
from microscaling.utils.text import in_bytes, span

log = logging.getLogger("mssscheduler")

POLL_S = 0.1
"""Interval of the looks whether a container is ready."""
MAX_POLL_S = 30.0
MAX_RETRY_S = 5.0
LATE_S = 60.0
"""Without a sign that it is ready for so long, a container is logged."""
REST_S = 60.0
"""After one that could not be frozen, or that has ended in the pool, none is made for so long."""


class WarmPool:
    """Which containers are kept ready, and which are told go.

    A container of the pool takes a place under the cap only until it is frozen, only a free one, and gives it
    up as soon as somebody waits for a place.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._now = 0.0
        """The time of the last `observe`."""
        self._tasks: list[Task] = []
        """Those with a handshake, by priority, at the last `observe`."""
        self.max_bytes = float("inf")
        """Memory of all warm containers, at most."""
        self._sizes: dict[str, int] = {}
        """By task, the memory of one that was warm, bytes."""
        self._said: set[tuple[str, bool]] = set()
        """Tasks whose full pool is logged, with False, or that there is no memory for one, with True."""
        self._unknown: set[str] = set()
        """Tasks of which it is logged that the memory of one is not known."""
        self._goes: dict[str, tuple[str, str]] = {}
        """By task, the signal and the file that are go, at the last `observe`."""
        self._rests: dict[str, float] = {}
        """By task, the time before which nothing is added to its pool."""

    def observe(self, now: float) -> None:
        """Ends what is too much in a pool, or of an earlier configuration; called before each planning."""
        self._now = now
        if self.inventory.leaving:
            return
        tasks = (task for task in self.inventory.by_name.values() if task.warm is not None)
        self._tasks = sorted(tasks, key=lambda task: task.priority)
        self._give_go_anew()
        for container in [c for c in self.inventory.restless() if c.warm and c.phase is Phase.EXITED]:
            container.warm = False
            # Where there is too little memory, the kernel would end the next one, too, or one at work.
            if not (container.signalled or container.outage):
                self._rests[container.task.name] = now + REST_S
        for container in self.inventory.restless():
            # One that was to work, and is not needed any more before it had a place, is of the pool again.
            container.warm = container.warm or (container.phase is Phase.FROZEN and container.is_fresh)
        mine = [c for c in self.inventory.restless() if c.warm and not c.unwanted]
        self._trim(mine)
        # Those that are ready stay before those that are not.
        mine.sort(key=lambda c: (c.phase not in STILL, c.order))
        kept: Counter[str] = Counter()
        for container in mine:
            task = container.task
            most = 0 if self._ends_all(task) or task.warm is None else task.warm.count
            if _is_stale(container) or kept[task.name] >= most:
                _end(container)
            else:
                kept[task.name] += 1

    def keeps(self, container: Container) -> bool:
        """True if a container that its task does not need any more goes to the pool."""
        others = self.inventory.is_others(container.id) or container.restarting or container.paused
        # The engine may still let it go on, without a place.
        able = not others and self._now >= container.late_thaw_until
        container.warm = container.is_fresh and able and self._lacks(container.task) > 0
        return container.warm

    def give(self, task: Task, missing: int) -> int:
        """Has containers of the pool work that are not frozen yet; returns how many. Those come first that
        are the nearest to it."""
        making = [
            c
            for c in self.inventory.books.restless(task.name)
            if c.warm and not c.unwanted and c.phase not in STILL and c.phase is not Phase.REMOVING
        ]
        making.sort(key=lambda c: (not c.handshake.ready, not c.may_run, c.order))
        for container in making[:missing]:
            container.warm = False
        return len(making[:missing])

    def plan(self, now: float) -> Iterator[Container]:
        """Yields the containers of the pool that give up their places, or else begin now."""
        inventory = self.inventory
        if inventory.leaving or inventory.draining or not self._tasks:
            return
        room = inventory.room()
        waiting = [c for c in inventory.restless() if self._waits(c, now)]
        if waiting or room < 0:
            yield from self._making_way(len(waiting) - room)
            return
        unstarted = [c for c in inventory.restless() if c.warm and not c.unwanted and not c.may_run]
        for container in [c for c in unstarted if c.phase not in STILL]:
            room -= 1  # one that is being created has its place in mind
            able = container.phase is Phase.CREATED and not (container.busy or container.unknown)
            if able and room >= 0 and now >= container.not_before and inventory.has_room(container.task):
                container.phase = Phase.STARTING
                yield container
        for task in self._tasks:
            while room > 0 and now >= self._rests.get(task.name, now) and self._lacks(task) > 0:
                if not inventory.has_room(task) or not self._has_ports(task):
                    break
                room -= 1
                container = inventory.new(task)
                container.warm = True
                yield container

    def next_call(self, container: Container, now: float) -> Work | None:
        """Returns the call that a running container needs next on its way to go, or to the pool."""
        warm, shake = container.task.warm, container.handshake
        if container.phase is Phase.FROZEN and container.warm and container.memory is None:
            return None if self.inventory.away or container.unwanted else Work.WEIGH
        if container.phase is not Phase.RUNNING or container.unwanted or container.outdated or warm is None:
            return None
        if container.paused or container.restarting or self.inventory.away or self.inventory.leaving:
            return None
        if container.is_fresh and (container.spent or now < container.late_pause_until):
            # A pause that may still come would freeze it with a job.
            self._rests[container.task.name] = now + REST_S
            container.unwanted, container.spent = True, False
            return None
        if not container.warm and not warm.has_go:
            shake.told = True
            container.begins_work(now)
        if shake.told or now < max(shake.retry_at, container.not_before):
            return None
        if not shake.ready:
            shake.since = now if shake.since is None else shake.since
            return Work.READY
        if container.warm:
            container.phase = Phase.FREEZING
            return Work.FREEZE
        container.begins_work(now)
        return Work.GO

    def on_done(self, operation: Operation, error: Exception | None, now: float, found: str) -> None:
        """Takes the result of a look whether a container is ready, of the call that tells it go, or of the
        question for its memory, which is `found`."""
        if operation.work is Work.WEIGH:
            if error is not None:
                self._not_weighed(operation.container.task, error)
            self._weighed(operation.container, 0 if error is not None else int(found))
            return
        container, shake = operation.container, operation.container.handshake
        looks, noun = operation.work is Work.READY, self.inventory.tasks.noun
        if error is None:
            shake.tries, shake.retry_at = 0, 0.0
            shake.ready, shake.told = True, shake.told or not looks
            shake.since = shake.since if looks else now
            return
        if isinstance(error, NotReady):
            since, warm = now if shake.since is None else shake.since, container.task.warm
            # One that an earlier agent has started is at work most likely, but may be loading.
            doubtful = shake.may_work and warm is not None and warm.stops
            shake.retry_at = now + max(POLL_S, min(MAX_POLL_S, (now - since) / 10) if doubtful else 0.0)
            if now - since >= LATE_S and not (shake.said or doubtful):
                shake.said = True
                log.warning("%s: %s %s is not ready after %s: %s", container.task.name, noun,
                            container.short_id, span(now - since), error)  # fmt: skip
            return
        shake.tries += 1
        shake.retry_at = now + min(MAX_RETRY_S, POLL_S * 2.0 ** min(shake.tries, 8))
        level = logging.WARNING if shake.tries == 1 else logging.DEBUG
        log.log(level, "%s: cannot %s: %s %s: %s", container.task.name, operation.work.value, noun,
                container.short_id, error)  # fmt: skip

    def begins_anew(self, container: Container) -> None:
        """Takes the start of a container that the engine itself has started again: it waits for go anew."""
        container.handshake = Handshake(may_work=not container.warm)

    def called_off(self, operation: Operation) -> None:
        """Takes a call that was not made, as it was no longer wanted."""
        shake = operation.container.handshake
        if operation.work is Work.GO and not shake.tries:
            shake.may_work = False

    def times(self) -> Iterator[float]:
        """Yields the times at which there may be work."""
        yield from self._rests.values()
        for container in self.inventory.restless():
            if container.task.warm is not None and container.is_up and not container.handshake.told:
                yield container.handshake.retry_at

    def _give_go_anew(self) -> None:
        """Gives go once more after a change of its signal or file: the earlier one may have been wrong, and
        no sign for any of them."""
        before, self._goes = self._goes, {}
        for task in self._tasks:
            assert task.warm is not None
            go = self._goes[task.name] = task.warm.signal, task.warm.file
            if before.get(task.name, go) != go:
                mine = self.inventory.containers[task.name]
                for container in mine:
                    container.handshake.told = False
                self.inventory.books.anew(mine)

    def _weighed(self, container: Container, size: int) -> None:
        task = container.task
        container.memory = size
        # One that was weighed too early, or not at all, says little of the next.
        self._sizes[task.name] = max(size, self._sizes.get(task.name, 0))
        mine = [c for c in self.inventory.books.restless(task.name) if c.warm and c.memory is not None]
        if task.warm is not None and len(mine) == task.warm.count and (task.name, False) not in self._said:
            self._said.add((task.name, False))
            count = "1 is" if len(mine) == 1 else f"{len(mine)} are"
            log.info("%s: %s warm, with %s of memory", task.name, count,
                     in_bytes(sum(c.memory or 0 for c in mine)))  # fmt: skip

    def _not_weighed(self, task: Task, error: Exception) -> None:
        is_news = self.max_bytes < float("inf") and task.name not in self._unknown
        self._unknown.add(task.name)
        words = "%s: the memory of a warm %s is not known, and not counted for MSS_WARM_MEMORY: %s"
        level = logging.WARNING if is_news else logging.DEBUG
        log.log(level, words, task.name, self.inventory.tasks.noun, error)

    def _trim(self, mine: list[Container]) -> None:
        """Ends those that need more memory than there may be, the least important first."""
        weighed = [c for c in mine if c.memory]
        used = sum(c.memory or 0 for c in weighed)
        for container in sorted(weighed, key=lambda c: (-c.task.priority, -c.order)):
            if used <= self.max_bytes:
                return
            used -= container.memory or 0
            _end(container)

    def _has_memory(self, task: Task) -> bool:
        """True if another one of the task may be made warm."""
        if self.max_bytes == float("inf"):
            return True
        every = [c for c in self.inventory.restless() if c.warm and not c.unwanted]
        used = sum(c.memory or self._sizes.get(c.task.name, 0) for c in every)
        # Until the first one is weighed, there is one at a time.
        if task.name not in self._sizes:
            return used < self.max_bytes and not any(c.task is task for c in every)
        fits = used + self._sizes[task.name] <= self.max_bytes
        if not fits and (task.name, True) not in self._said:
            self._said.add((task.name, True))
            sizes = map(in_bytes, (self._sizes[task.name], used, int(self.max_bytes)))
            log.warning("%s: no more is made warm, as one needs %s, those there are have %s, and "
                        "MSS_WARM_MEMORY is %s", task.name, *sizes)  # fmt: skip
        return fits

    def _making_way(self, short: int) -> Iterator[Container]:
        """Yields containers of the pool that give their places to others. `short`: how many are needed."""
        making = [c for c in self.inventory.restless() if c.warm and c.may_run and c.phase not in STILL]
        soon = [c for c in making if c.unwanted or c.handshake.ready]  # their places are free in a moment
        rest = [c for c in making if c not in soon]
        rest.sort(key=lambda c: (-c.task.priority, -c.order))
        for container in rest[: max(0, short - len(soon))]:
            container.unwanted = True
            yield container

    def _waits(self, container: Container, now: float) -> bool:
        """True for a container that is to work, and needs a place."""
        if not container.wanted or container.phase not in UNSTARTED or now < container.not_before:
            return False
        inventory, image = self.inventory, container.task.image
        # What cannot start yet needs no place yet.
        held = now < inventory.refreshed_by().get(image, now) or inventory.is_quiet(container, now)
        return not held and inventory.has_room(container.task)

    def _lacks(self, task: Task) -> int:
        """Returns how many containers its pool may get."""
        inventory = self.inventory
        idle = task.backing_off or task.name in inventory.resting or inventory.leaving
        if task.warm is None or idle or self._ends_all(task):
            return 0
        mine = (c.warm and not c.unwanted for c in inventory.books.restless(task.name))
        left = task.warm.count - sum(mine)
        return left if left > 0 and self._has_memory(task) else 0

    def _has_ports(self, task: Task) -> bool:
        """True if another container finds a published port: a frozen one keeps its own."""
        ports = task.container.ports_for
        return not ports or len(self.inventory.containers[task.name]) < ports

    def _ends_all(self, task: Task) -> bool:
        return self.inventory.draining or not self.inventory.has(task.name)


def _is_stale(container: Container) -> bool:
    task = container.task
    return bool(task.version and container.version and container.version != task.version)


def _end(container: Container) -> None:
    container.unwanted = True
    if container.phase in STILL:
        container.phase, container.spent = Phase.FROZEN, True
