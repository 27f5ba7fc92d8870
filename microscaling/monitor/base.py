"""What the agent asks of a monitor."""

from __future__ import annotations

from abc import ABC, abstractmethod

from microscaling.demand.tasks import Tasks


class Monitor(ABC):
    """Tells somebody how the tasks are, in a thread of its own, so that one that hangs delays nobody."""

    @abstractmethod
    def send_metrics(self, tasks: Tasks) -> None:
        """Called every 500 ms: takes what it needs under the lock, lets go, and sends it. May raise
        TemporaryError, which is said once."""

    def close(self) -> None:
        """Ends a `send_metrics` that waits, and lets go of what it holds."""
