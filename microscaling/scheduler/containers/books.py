"""The books of an inventory: the containers at rest are only counted, and all others can be gone through.

Of a fleet nearly all are at rest, and each event concerns one container. So what an event costs does not grow
with the fleet, but with what is under way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from operator import attrgetter

from microscaling.scheduler.containers.container import Container

SERIAL = attrgetter("serial")


class Books:
    """Kept from the containers themselves: each reports the change of a field that counts. The caller holds
    the lock of `Tasks`."""

    def __init__(self) -> None:
        self._changed: set[Container] = set()
        self._at_rest: set[Container] = set()
        self._resting: defaultdict[str, int] = defaultdict(int)
        """The number of those at rest, by task."""
        self._restless: dict[str, set[Container]] = {}
        """All others, by task; only tasks that have some."""
        self._places: dict[str, int] = {}
        """The place of each task in the order of the inventory."""
        self._now = 0.0

    def add_task(self, name: str) -> None:
        """Adds a task behind the others, if it is a new one."""
        self._places.setdefault(name, max(self._places.values(), default=0) + 1)

    def drop_task(self, name: str) -> None:
        """Drops a task, of which all containers were dropped."""
        self._look()
        for known in (self._places, self._resting, self._restless):
            known.pop(name, None)

    def add(self, container: Container) -> None:
        """Adds a container, which reports its changes from now on."""
        container.changed = self._changed.add
        self._changed.add(container)

    def drop(self, container: Container) -> None:
        """Drops a container."""
        # First, as it may be among those that have changed.
        self._look()
        container.changed = None
        self._enter(container, None)

    def review(self, now: float) -> None:
        """Looks anew at those that are not at rest, as their time may have come (monotonic seconds)."""
        self._now = now
        self._changed.update(*self._restless.values())

    def anew(self, containers: Iterable[Container]) -> None:
        """Looks anew at these, as their tasks have changed."""
        self._changed.update(containers)

    def resting(self, name: str) -> int:
        """Returns the number of containers of a task at rest."""
        self._look()
        return self._resting.get(name, 0)

    def all_resting(self) -> int:
        """Returns the number of all containers at rest."""
        self._look()
        return len(self._at_rest)

    def with_resting(self) -> list[str]:
        """Returns the names of the tasks with a container at rest."""
        self._look()
        return [name for name, count in self._resting.items() if count]

    def restless(self, name: str) -> list[Container]:
        """Returns the other containers of a task, the oldest first."""
        self._look()
        return sorted(self._restless.get(name, ()), key=SERIAL)

    def all_restless(self) -> list[Container]:
        """Returns all other containers, by task."""
        self._look()
        # In the order of the inventory, on which decisions among equals depend.
        names = sorted(self._restless, key=self._places.__getitem__)
        return list(chain.from_iterable(sorted(self._restless[name], key=SERIAL) for name in names))

    def _look(self) -> None:
        if not self._changed:
            return
        for container in self._changed:
            self._enter(container, container.is_at_rest and container.not_before <= self._now)
        self._changed.clear()

    def _enter(self, container: Container, rests: bool | None) -> None:
        """Enters a container as one at rest, or not; None: as none at all."""
        name = container.task.name
        if bool(rests) is not (container in self._at_rest):
            self._resting[name] += 1 if rests else -1
            (self._at_rest.add if rests else self._at_rest.discard)(container)
        if rests is False:
            self._restless.setdefault(name, set()).add(container)
        elif name in self._restless:
            self._restless[name].discard(container)
            if not self._restless[name]:
                del self._restless[name]
