"""The inventory: the known containers by task, id and nonce, tombstones of those that are gone, and the
state of engine and agent."""

from __future__ import annotations

import itertools
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers.books import SERIAL, Books
from microscaling.scheduler.containers.container import Container, Phase
from microscaling.scheduler.containers.drain_file import Kept

OTHERS_S = 10.0
"""Seconds from the end of a container by others until it may be removed: they are perhaps about to start it
again, or to remove it as well."""


class Inventory:
    """Data only, without decisions. Back-offs, counts and judgements of ends read it; the reconciler and the
    listing write it. The caller holds the lock of `tasks`."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self.by_name: dict[str, Task] = {}
        self.containers: dict[str, list[Container]] = {}
        self.books = Books()
        self.departing: set[str] = set()
        """Names of tasks that are no more, and whose last containers are still to go."""
        self.by_id: dict[str, Container] = {}
        self.by_nonce: dict[str, Container] = {}
        self.instance = os.urandom(6).hex()
        self.touches = 0
        self.tombstones: dict[str, int] = {}
        """Ids of removed containers, with the generation of their removal: listings and events come late."""
        self.acting = False
        """Changes are allowed: False before the first decision."""
        self.away = False
        """The engine does not answer: no operation until a listing has succeeded."""
        self.deaf = False
        """The event stream is incomplete: only listings show changes."""
        self.answered = float("-inf")
        """Time of the engine's last answer, monotonic seconds."""
        self.leaving = False
        self.draining = False
        self.quiet: dict[str, float] = {}
        """By task, the time before which there is no operation, as others change it (monotonic seconds)."""
        self.refreshed_by: Callable[[], Mapping[str, float]] = dict
        """Returns, by image, the time until which no container is made of it, as a newer one may come
        (monotonic seconds)."""
        self.resting: set[str] = set()
        """Tasks that others have stopped: they get no containers."""
        self.beginning = 0
        """Containers that others have created and are about to start: they take places under the cap."""
        self.rank: Callable[[str], int | None] = lambda id: None
        """Returns the order of a container by its id, if the backend knows a better one."""
        self.is_others: Callable[[str], bool] = lambda id: False
        """As in Backend."""
        self.limits_tasks = False
        """As in Backend."""
        self.thaw_is_go = False
        """As in Backend."""
        self.keeps_outdated = False
        """While the new containers of a task fail, the old ones stay."""
        self.kept: dict[str, Kept] = {}
        """By id, the drains of an earlier agent that are not taken over yet."""
        self.knows_frozen = False
        """The earlier agent has left word of which paused containers it froze: any other was by others."""
        self._numbers = itertools.count(1)

    def add(self, task: Task) -> None:
        """Adds a task, or replaces the one with its name, which leaves its containers to it."""
        self.by_name[task.name] = task
        self.books.add_task(task.name)
        for container in self.containers.setdefault(task.name, []):
            container.task = task

    def drop(self, name: str) -> None:
        """Drops a task, and all that is known of its containers."""
        for container in list(self.containers[name]):
            self.forget(container)
        del self.by_name[name], self.containers[name]
        self.books.drop_task(name)
        self.quiet.pop(name, None)
        self.resting.discard(name)

    def has(self, name: str) -> bool:
        """True if there is a task with that name which is not departing."""
        return name in self.by_name and name not in self.departing

    def all(self) -> Iterable[Container]:
        """Every known container."""
        return itertools.chain.from_iterable(self.containers.values())

    def restless(self) -> list[Container]:
        """Every known container that is not at rest: one that runs and is wanted, with nothing to do."""
        return self.books.all_restless()

    @property
    def in_doubt(self) -> bool:
        """The state of a container is not known: only a listing shows it."""
        return any(c.unknown for c in self.restless())

    def room(self) -> int:
        """Returns how many containers more may run; negative above the cap."""
        taken = self.books.all_resting() + sum(1 for c in self.restless() if c.holds_place)
        return self.tasks.max_containers - self.beginning - taken

    def has_room(self, task: Task) -> bool:
        """True if one more of this task may run, where its own maximum counts, too."""
        running = self.books.resting(task.name)
        running += sum(1 for c in self.books.restless(task.name) if c.may_run)
        most = max(task.max_containers, task.demand) if self.limits_tasks else running + 1
        # Those of the pool have numbers above it.
        most += task.warm.count if task.warm is not None else 0
        # A published port is taken until the container that has it is gone.
        return running < min(most, task.container.ports_for or most)

    def stopped_by_others(self, container: Container, returns: bool, now: float) -> None:
        """Notes that a container was stopped from outside; `returns`: it may be started again at once."""
        container.by_others, container.may_return = True, returns
        container.may_run = container.may_run or returns
        # At the end of the agent nothing waits for others any more.
        if not (self.draining or self.leaving):
            container.not_before = max(container.not_before, now + OTHERS_S)

    def is_quiet(self, container: Container, now: float) -> bool:
        """True while others change the containers of its task."""
        # At the end nothing is started any more, and others may well wait for it.
        return now < self.quiet.get(container.task.name, now) and not (self.draining or self.leaving)

    def keep_outdated(self, task: Task) -> None:
        """Keeps the containers of an earlier configuration of a task while its new ones fail. At the end of
        the agent they are like all others, and end with them."""
        # At once in a back-off, as that counts those that stay.
        if self.draining or (task.backing_off and self.keeps_outdated):
            for container in self.books.restless(task.name):
                container.outdated = container.outdated and container.unwanted

    def free_places(self, now: float) -> None:
        """Frees the places of the containers that were not started again."""
        # Afterwards an engine lists it as exited, so nothing else would free its place.
        for container in self.restless():
            if container.may_return and container.phase is Phase.EXITED and now >= container.not_before:
                container.may_return, container.may_run = False, container.start_unconfirmed

    def rests(self, container: Container) -> bool:
        """True if others have stopped a container and all of its task: it stays as it is."""
        # They may start or remove it at any time, and Compose fails if it has gone meanwhile.
        ended = container.phase is Phase.EXITED and container.by_others and not container.busy
        return ended and container.task.name in self.resting and not self.draining

    def find(self, id: str, nonce: str) -> Container | None:
        """Returns the container with that id, or with that nonce if its id is not known yet."""
        found = self.by_id.get(id)
        if found is None and nonce:
            found = self.by_nonce.get(nonce)
            if found is not None and found.id:
                return None  # another container: `docker commit` copies our labels with the nonce
        return found

    def touch(self, container: Container) -> None:
        """From now on, listings requested earlier are ignored for this container."""
        self.touches += 1
        container.touched = self.touches

    def bind(self, container: Container, id: str) -> None:
        """Sets the id that the engine gave to the container."""
        container.id = id
        rank = self.rank(id)
        container.order = container.order if rank is None else rank
        self.by_id[id] = container

    def forget(self, container: Container) -> None:
        """Drops a container that is gone from the engine."""
        if not self._known(container):
            return
        mine = self.containers[container.task.name]
        del mine[bisect_left(mine, container.serial, key=SERIAL)]
        self.books.drop(container)
        del self.by_nonce[container.nonce]
        if container.id:
            self.by_id.pop(container.id, None)
            self.add_tombstone(container.id)

    def add_tombstone(self, id: str) -> None:
        """Notes a removed container, so that older listings and late events do not bring it back."""
        self.touches += 1
        self.tombstones[id] = self.touches

    def new(self, task: Task, nonce: str = "") -> Container:
        """Adds a container that is to be created, or (with its nonce) one that was found."""
        number = next(self._numbers)
        container = Container(task, nonce or f"{self.instance}-{number}", number, serial=number)
        # It waits for no go, also if its task is given one later.
        container.handshake.may_work = task.warm is None
        self.containers[task.name].append(container)
        self.books.add(container)
        self.by_nonce[container.nonce] = container
        return container

    def _known(self, container: Container) -> bool:
        return self.by_nonce.get(container.nonce) is container

    def alive_at(self, container: Container, now: float) -> float:
        """Returns until when a container is known to run: now, if the event stream would have reported its
        end."""
        return now if container.heard and not self.deaf else container.seen

    @property
    def idle(self) -> bool:
        """True if no operation is under way, and all containers that were to go have gone."""
        return not self.unfinished()

    def unfinished(self) -> list[Container]:
        """Containers with an operation under way, or that are still to go."""
        return [c for c in self.restless() if not (c.stays or self._is_left(c) or self.rests(c))]

    def left(self) -> list[str]:
        """Describes those containers."""
        return [f"{c.task.name} {c.short_id} ({c.phase.value})" for c in self.unfinished()]

    def _is_left(self, container: Container) -> bool:
        """True, after `leave`, for a container that drains, or an exited one with a failed removal: the next
        agent goes on with it."""
        ended = container.phase in (Phase.EXITED, Phase.REMOVING)
        left = (ended and container.failures > 0) or container.is_draining
        return self.leaving and left and not container.busy
