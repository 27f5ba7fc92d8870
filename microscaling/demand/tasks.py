"""All tasks, the lock that guards them, and the cap that they share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import attrgetter
from types import TracebackType

from microscaling.demand.change import Change
from microscaling.demand.override import Override
from microscaling.demand.shown import ContainerView
from microscaling.demand.tally import Tally
from microscaling.demand.task import Task

_priority = attrgetter("priority")


class Tasks:
    """The one object that all threads share. `with tasks:` takes the lock; no I/O and no wait happens under
    it.

    `max_containers` is the cap for these tasks: the configured `cap` less `outside`. A writer of a task's
    `requested` or `running` sets the event `changed` if a value differs.
    """

    def __init__(self, tasks: Iterable[Task], max_containers: int, noun: str = "container") -> None:
        self.tasks = list(tasks)
        self.generation = 0
        """The number of changes of the configuration since the start: by it the threads notice one."""
        self.stale = threading.Event()
        """Set by a scheduler that has seen a sign of such a change."""
        self.noun = noun
        """The word for one unit in messages: container or process."""
        self.cap = max_containers
        self.outside = 0
        """Containers that take places under the cap and belong to none of these tasks. Only the scheduler
        writes it, and `orphans`."""
        self.orphans = ""
        """A sentence about those containers, for a person; empty if there are none."""
        self.wall: Callable[[], float] = time.time
        """The time by which windows open and close, in seconds since 1970."""
        self.lock = threading.RLock()
        self.changed = threading.Event()
        self.overrides: dict[str, Override] = {}
        """The tasks that people have paused or pinned, by name; a task of that name may come later. Only the
        control socket writes it."""
        self.hold = ""
        """Reason why no decision may be made now; empty if decisions are allowed. Only the scheduler writes
        it."""
        self.containers: Callable[[str], list[ContainerView]] | None = None
        """Lists the containers of the task with this name; None: the scheduler knows their number only. Only
        the scheduler writes it; it is called with the lock held."""
        self.seen: Callable[[str], list[ContainerView]] | None = None
        """The same, with their activity as it is known: no container is looked at for it."""
        self.left_alone: dict[str, str] = {}
        """The mistakes in the labels of services, by their names: they are no tasks until it is mended. Only
        the configuration writes it."""
        self.tally: Tally | None = None
        """The counters for the metrics; None: they are off."""
        self.occupied = 0
        """Places under the cap taken by containers that do not stop. They are part of no task's demand, and
        the time of their end is unknown. Only the scheduler writes it."""
        self.occupied_by = ""
        """Those containers, for a person to read."""
        self._order: list[Task] = []
        self._order_of: tuple[list[Task], list[int]] = ([], [])

    def __enter__(self) -> Tasks:
        self.lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()

    @property
    def nouns(self) -> str:
        """The plural of `noun`."""
        return self.noun + ("es" if self.noun.endswith("s") else "s")

    @property
    def max_containers(self) -> int:
        """The most that all these tasks may have together."""
        return max(0, self.cap - self.outside)

    @max_containers.setter
    def max_containers(self, cap: int) -> None:
        """The cap of all these tasks together."""
        self.cap = cap

    def apply(self, change: Change) -> None:
        """Takes over a change of the configuration; tasks that are new come last. A task with another
        configuration keeps its containers and its demand, and a task without a change its readings, too. The
        caller holds the lock."""
        self.generation += 1
        gone = change.gone | change.left
        tasks = {task.name: task for task in self.tasks if task.name not in gone}
        for new in change.tasks:
            task = tasks.get(new.name)
            if task is None:
                # A copy, as the configuration goes on to compare with its own.
                task = tasks[new.name] = replace(new, generation=self.generation)
                task.begin_anew()
            elif task.configure(new):
                task.generation = self.generation
            # At once: until the next beat a task must not lose what only its window gives it, nor be moved
            # against the will of a person.
            task.follow_schedule(self.wall())
            task.overrule(self.overrides.get(task.name))
        if change.cap is not None:
            self.cap = change.cap
        place = {name: n for n, name in enumerate(change.order)}
        self.tasks = sorted(tasks.values(), key=lambda task: place.get(task.name, len(place)))
        self.changed.set()

    def obey(self) -> None:
        """Puts the overrides into force, and ends those that are no more. The caller holds the lock."""
        for task in self.tasks:
            task.overrule(self.overrides.get(task.name))

    def check_capacity(self) -> int:
        """Returns the free places under the cap; negative if more containers are requested than it allows."""
        return self.places() - sum([task.requested for task in self.tasks])

    @property
    def taken_by(self) -> str:
        """Those that take places under the cap and are in no task's demand, for a person to read."""
        outside = f"{self.outside} {self.nouns} of no task" if self.outside else ""
        return " and ".join(filter(None, (self.occupied_by, outside)))

    def places(self) -> int:
        """Returns the number of containers that can be shared out: the cap less the occupied places."""
        return max(0, self.max_containers - self.occupied)

    def priority_sort(self, reverse: bool = False) -> None:
        """Sorts `tasks` in place by priority, the most important first, or last; ties keep their order."""
        self.tasks.sort(key=_priority, reverse=reverse)

    def by_priority(self) -> list[Task]:
        """Returns the tasks, the most important first. The list is shared between calls: do not modify it."""
        # Sorted only after a change of a priority or of the list: this runs several times a beat.
        now = (self.tasks, list(map(_priority, self.tasks)))
        if now != self._order_of:
            self._order = sorted(self.tasks, key=_priority)
            self._order_of = (list(self.tasks), now[1])
        return self._order

    def get_task(self, name: str) -> Task:
        """The task of that name; KeyError if there is none."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise KeyError(name)

    def exited(self) -> bool:
        """True if no container of any task runs."""
        return not any(task.running for task in self.tasks)
