"""A lock for many threads at a time, or for one alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Either any number of threads are inside together, or one alone. One that waits to be alone goes first,
    so that those who come together cannot keep it out for ever."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._alone = False
        self._waiting = 0
        """Threads that wait to be alone."""

    @contextmanager
    def together(self, timeout_s: float) -> Iterator[None]:
        """Lets others in, too, who come in this way. Raises TimeoutError."""
        with self._changed:
            # Not while one waits: with many starts in a row it would never be its turn.
            if not self._changed.wait_for(lambda: not (self._alone or self._waiting), timeout_s):
                raise TimeoutError
            self._together += 1
        try:
            yield
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, timeout_s: float) -> Iterator[None]:
        """Keeps all others out. Raises TimeoutError."""
        until = time.monotonic() + timeout_s
        with self._changed:
            self._waiting += 1
            try:
                free = self._changed.wait_for(
                    lambda: not (self._alone or self._together), max(0.0, until - time.monotonic())
                )
                if not free:
                    raise TimeoutError
                self._alone = True
            finally:
                self._waiting -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
