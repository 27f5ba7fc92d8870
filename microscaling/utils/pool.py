"""A few threads that carry out calls which block."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from microscaling.utils.threads import StoppableThread, stop_all

T = TypeVar("T")


class Pool(Generic[T]):
    """Up to `size` daemon threads, started as they are needed, that call `work` with what is submitted.

    The lowest `rank` goes first, then first come, first served. `work` must not raise: a thread
    that dies of it is kept in `threads` for the agent to find.
    """

    def __init__(self, name: str, size: int, work: Callable[[T], None]) -> None:
        self.name = name
        self.size = size
        self.work = work
        self.threads: list[StoppableThread] = []
        self._items: queue.PriorityQueue[tuple[int, int, T | None]] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._unfinished = 0
        self._closed = False

    def submit(self, item: T, rank: int = 0) -> None:
        """Never blocks. After `stop` it does nothing."""
        with self._lock:
            if self._closed:
                return
            self._items.put((rank, next(self._numbers), item))
            self._unfinished += 1
            if len(self.threads) < min(self._unfinished, self.size):
                thread = _Worker(f"{self.name}-{len(self.threads) + 1}", self)
                self.threads.append(thread)
                thread.start()

    def stop(self, timeout_s: float) -> list[StoppableThread]:
        """Drops what has not begun, waits for what has; returns the threads that are still at it."""
        with self._lock:
            self._closed = True
            for _ in self.threads:
                self._items.put((-1, next(self._numbers), None))
        return stop_all(self.threads, timeout_s)

    def run_one(self) -> None:
        """Waits for an item, and works on it."""
        item = self._items.get()[2]
        if item is not None:
            self.work(item)
            with self._lock:
                self._unfinished -= 1


class _Worker(StoppableThread):
    def __init__(self, name: str, pool: Pool[T]) -> None:
        super().__init__(name)
        self.pool = pool

    def cycle(self) -> None:
        self.pool.run_one()
