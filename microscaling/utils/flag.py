"""A flag for signal handlers."""

from __future__ import annotations

import contextlib
import queue


class Flag:
    """A flag that may be set from any thread and any signal handler, and for which one thread waits.

    A signal handler runs in the main thread between any two of its steps. Within the wait for a
    `threading.Event` that thread holds the lock which `Event.set` needs, so that setting it would never end.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()  # its `put` is reentrant

    def set(self) -> None:
        """Sets the flag, without blocking."""
        self._is_set = True
        self._wakes.put(None)

    def is_set(self) -> bool:
        """True once it was set."""
        return self._is_set

    def wait(self, timeout_s: float) -> bool:
        """Waits until it is set, for `timeout_s` seconds at most. Returns `is_set()`."""
        if not self._is_set:
            with contextlib.suppress(queue.Empty):
                self._wakes.get(timeout=timeout_s)
        return self._is_set
