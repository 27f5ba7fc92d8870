"""A pool of threads for blocking calls."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from microscaling.utils.threads import StoppableThread, stop_all

T = TypeVar("T")


class Pool(Generic[T]):
    """Calls `work` with each submitted item, in up to `size` daemon threads, started on demand.

    Items of the lowest `rank` go first, and within a rank in order of submission. `work` must not
    raise: a thread that dies of an exception stays in `threads`, where the agent finds it.
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
        """Queues an item, without blocking. After `stop` it does nothing."""
        with self._lock:
            if self._closed:
                return
            # The number keeps the order within a rank, and items need not be comparable.
            self._items.put((rank, next(self._numbers), item))
            self._unfinished += 1
            if len(self.threads) < min(self._unfinished, self.size):
                thread = _Worker(f"{self.name}-{len(self.threads) + 1}", self)
                self.threads.append(thread)
                thread.start()

    def stop(self, timeout_s: float) -> list[StoppableThread]:
        """Drops the items that are still queued, and waits `timeout_s` for those in progress. Returns the
        threads that still work."""
        with self._lock:
            self._closed = True
            # All are flagged first: one that woke before its flag would wait once more, for ever.
            for thread in self.threads:
                thread.stop()
            for _ in self.threads:
                # Rank -1 goes before all items, so it wakes each waiting thread and they see the stop.
                self._items.put((-1, next(self._numbers), None))
        return stop_all(self.threads, timeout_s)

    def run_one(self) -> None:
        """Waits for one item and handles it, in a thread of the pool."""
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
