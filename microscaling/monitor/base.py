"""The interface of a monitor, as the agent calls it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from microscaling.demand.tasks import Tasks


class Monitor(ABC):
    """Reports the state of the tasks to one destination, in a thread of its own: one that hangs delays no
    other."""

    @abstractmethod
    def send_metrics(self, tasks: Tasks) -> None:
        """Sends one report; called every 500 ms. Copies the data under the lock and sends it without the
        lock. May raise TemporaryError, which is logged once."""

    def close(self) -> None:
        """Aborts a `send_metrics` that waits, and releases all resources."""
