"""All tasks, the lock that guards them, and the cap that they share."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from operator import attrgetter
from types import TracebackType

from microscaling.demand.task import Task

_priority = attrgetter("priority")


class Tasks:
    """The one object that all threads share. `with tasks:` takes the lock; nothing that waits is
    done while it is held.

    `max_containers` is the cap for these tasks: what `outside` leaves of `cap`, which is what the
    configuration says. Whoever writes `requested` or `running` of a task sets `changed`
    when something differed.
    """

    def __init__(self, tasks: Iterable[Task], max_containers: int, noun: str = "container") -> None:
        self.tasks = list(tasks)
        self.noun = noun
        """What messages to people call one of what runs."""
        self.cap = max_containers
        self.outside = 0
        """Containers that take places under the cap, and are of none of these tasks. Only the scheduler
        writes it, and `orphans`."""
        self.orphans = ""
        """What a person should know of them; empty: there are none."""
        self.lock = threading.RLock()
        self.changed = threading.Event()
        self.hold = ""
        """Why nothing may be decided just now; empty: decide. Only the scheduler writes it."""
        self.occupied = 0
        """Places under the cap that are held by containers in no task's demand, for nobody knows how long:
        those that do not stop. Only the scheduler writes it."""
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
        self.cap = cap

    def check_capacity(self) -> int:
        """How many containers more the cap allows; negative if more are requested than it allows."""
        return self.places() - sum([task.requested for task in self.tasks])

    def places(self) -> int:
        """How many containers can be shared out: the cap, without what is occupied."""
        return max(0, self.max_containers - self.occupied)

    def priority_sort(self, reverse: bool = False) -> None:
        """Puts `tasks` in order of priority, the most important first, or last; ties keep theirs."""
        self.tasks.sort(key=_priority, reverse=reverse)

    def by_priority(self) -> list[Task]:
        """The tasks, the most important first, in a list of its own that is not to be changed.

        Sorted anew only if somebody has touched a priority or the list since.
        """
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
        """Whether nothing runs any more."""
        return not any(task.running for task in self.tasks)
