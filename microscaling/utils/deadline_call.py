"""Calls with a deadline into libraries that offer none of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class DeadlineCaller:
    """Makes one call at a time, each in a daemon thread of its own, and abandons it at its deadline.

    For one caller at a time.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._thread: threading.Thread | None = None

    def call(self, work: Callable[[], T], deadline_s: float) -> T:
        """Returns the result of `work`, or raises its error. Raises TimeoutError after `deadline_s`."""
        until = time.monotonic() + deadline_s
        # An abandoned call cannot be interrupted, so the next one waits for its end first: however often
        # a hanging call is retried, there is never a second thread.
        if not self._free(until):
            raise TimeoutError("the call before this one is not over yet")
        done: list[tuple[Any, BaseException | None]] = []

        def run() -> None:
            try:
                done.append((work(), None))
            except BaseException as error:
                done.append((None, error))

        self._thread = threading.Thread(target=run, name=self.name, daemon=True)
        self._thread.start()
        if not self._free(until):
            raise TimeoutError("the call takes too long")
        result, error = done.pop()
        if error is None:
            answer: T = result
            return answer
        try:
            raise error
        finally:
            del error  # else it and this frame keep each other, and all that they know, alive

    def _free(self, until: float) -> bool:
        """Waits for the last thread until `until` (monotonic seconds). Returns whether it has ended."""
        if self._thread is not None:
            self._thread.join(max(0.0, until - time.monotonic()))
            if self._thread.is_alive():
                return False
            self._thread = None
        return True
