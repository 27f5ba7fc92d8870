"""The interface of a list of consumers."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from microscaling.errors import MetricError

__all__ = ["Consumer", "Consumers", "MetricError"]

DEADLINE_S = 2.0


@dataclass(frozen=True, slots=True)
class Consumer:
    """One consumer of a queue."""

    host: str
    """The host name that it reports; empty if it reports none."""
    busy: bool
    address: str = ""
    """The address of its connection, as the source sees it: only where there is no host name."""


class Consumers(ABC):
    """Lists the consumers of one queue. Thread-safe."""

    name = ""
    """Its source in logs, without credentials."""
    delay_s = 0.1
    """Seconds from the begin of a job until the list shows it."""
    by_address = False
    """True if its consumers have addresses, and no host names."""
    matched = False
    """True once a consumer has belonged to a container of the task."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = float("-inf")
        self._answer: Sequence[Consumer] | MetricError = ()

    def ask(self) -> Sequence[Consumer]:
        """Returns the consumers, as they were after the call. Raises MetricError."""
        asked = time.monotonic()
        # Of many threads that ask at once, one asks for all.
        with self._lock:
            if self._began < asked:
                self._began = time.monotonic()
                try:
                    self._answer = self.fetch()
                except MetricError as error:
                    self._answer = error
            answer = self._answer
        if isinstance(answer, MetricError):
            raise answer
        return answer

    def close(self) -> None:
        """Closes all connections; a later `ask` opens new ones."""

    @abstractmethod
    def fetch(self) -> Sequence[Consumer]:
        """Asks the source, within DEADLINE_S; called by one thread at a time. Raises MetricError."""
