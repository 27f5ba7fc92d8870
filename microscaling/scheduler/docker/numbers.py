"""Numbers of containers, by task: the lowest that is free, for the container's name and its label."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable

from microscaling.scheduler.containers.backend import ListedContainer

MAX_NAME = 200
UNFIT = re.compile(r"[^a-zA-Z0-9_.-]")


def name_of(task: str, number: int) -> str:
    """Returns the name of a container: that of its task, in the characters that engines allow, and its
    number."""
    # It has to begin with a letter or a digit.
    fit = UNFIT.sub("-", task).lstrip("_.-")[:MAX_NAME] or "task"
    return f"{fit}-{number}"


class Numbers:
    """The numbers in use, as far as listings, events and our own calls have shown them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._creating: set[tuple[str, int]] = set()
        self._held: dict[str, tuple[str, int]] = {}
        """By id of a container, task and number."""
        self._changed: dict[str, int] = {}
        """By id, the serial number of its creation or removal, which an older listing may not show."""
        self._serial = 0

    def take(self, task: str, above: int = 0) -> int:
        """Returns the lowest number above `above` that no container of the task has. It is in use from now
        on."""
        with self._lock:
            used = {number for of, number in (*self._creating, *self._held.values()) if of == task}
            number = next(n for n in range(above + 1, above + len(used) + 2) if n not in used)
            self._creating.add((task, number))
        return number

    def created(self, task: str, number: int, id: str = "") -> None:
        """Takes the end of a create call; no id: there is no such container."""
        with self._lock:
            self._creating.discard((task, number))
            if id:
                self._held[id] = (task, number)
                self._change(id)

    def removed(self, id: str) -> None:
        """Takes the removal of a container: its number is free again."""
        with self._lock:
            self._held.pop(id, None)
            self._change(id)

    def ask(self) -> int:
        """Returns the time of a listing that is about to be requested, for `listed`."""
        with self._lock:
            return self._serial

    def listed(self, asked: int, found: Iterable[ListedContainer]) -> None:
        """Takes a listing. It changes nothing that has changed since it was requested."""
        with self._lock:
            later = {id for id, serial in self._changed.items() if serial > asked}
            shown = {one.id: (one.task, one.number) for one in found if one.number}
            kept = {id: held for id, held in self._held.items() if id in later}
            self._held = {id: held for id, held in shown.items() if id not in later} | kept
            self._changed = {id: self._changed[id] for id in later}

    def _change(self, id: str) -> None:
        self._serial += 1
        self._changed[id] = self._serial
