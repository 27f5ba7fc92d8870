"""A lease: of several agents at one orchestrator one decides, and the others stand by.

The orchestrator keeps a record with the holder's name, and takes a change of it only at the version that
the writer has read. The holder writes it again and again. Whoever has seen no new version for `LEASE_S` by
its own clock may take it over, so no two clocks are ever compared (as in client-go, package leaderelection).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from microscaling.errors import MicroscalingError, PermanentError
from microscaling.utils.failure_log import FailureLog
from microscaling.utils.threads import StoppableThread

log = logging.getLogger("mssscheduler")

BEAT_S = 0.6
"""Seconds between two looks at the record; the holder writes it at each."""
HELD_S = 2.4
"""Seconds from the begin of a successful write for which the holder counts on the lease."""
LEASE_S = 3.4
"""Seconds without a new version after which another agent takes it; more than HELD_S, as it sees a version
only after the write has begun."""
CALL_S = 2.0
"""Longest time for one look or one write."""
RELEASE_S = 1.0


@dataclass(frozen=True, slots=True)
class Record:
    """The record at one version. An empty holder has given it back."""

    id: str
    version: str
    holder: str


class LeaseStore(ABC):
    """The place of the record. Its calls end by `until` (monotonic seconds) and raise MicroscalingError."""

    name: str

    @abstractmethod
    def read(self, until: float) -> Record | None:
        """Returns the record; None if there is none yet."""

    @abstractmethod
    def write(self, known: Record | None, holder: str, until: float) -> bool:
        """Creates the record, or changes it if it still has the known version. Returns False if somebody else
        was faster."""

    @abstractmethod
    def try_write(self, known: Record | None, until: float) -> None:
        """Raises MicroscalingError if `write` would be refused for want of rights; changes nothing."""

    def close(self) -> None:
        """Closes connections."""


class Lease(StoppableThread):
    """Takes the lease as soon as it is free, and keeps it until `stop`. `on_change` is called in its thread,
    with True if this agent holds it from now on."""

    def __init__(
        self,
        store: LeaseStore,
        on_change: Callable[[bool], None],
        clock: Callable[[], float] = time.monotonic,
        holder: str = "",
    ) -> None:
        super().__init__("mss-lease")
        self.store = store
        self.on_change = on_change
        self.clock = clock
        self.holder = holder or os.urandom(6).hex()
        self.other = ""
        """The name of the agent that holds it, if it is another one."""
        self._until = float("-inf")
        self._seen: Record | None = None
        self._seen_at = 0.0
        """When this version was seen first."""
        self._was_held = False
        self._failures = FailureLog()
        self._beating = threading.Lock()

    @property
    def until(self) -> float:
        """The time until which this agent may act (monotonic seconds)."""
        return self._until

    @property
    def is_held(self) -> bool:
        """True while this agent may act."""
        return self.clock() < self._until

    def cycle(self) -> None:
        self.beat()
        self.stopped.wait(BEAT_S)

    def beat(self) -> None:
        """Looks at the record, and writes it if this agent holds it or may take it."""
        with self._beating:
            try:
                self._beat()
            except MicroscalingError as error:
                if self._failures.failed(self.clock(), str(error)):
                    level = logging.ERROR if isinstance(error, PermanentError) else logging.WARNING
                    log.log(level, "the lease in %s: %s; trying again", self.store.name, error)
            else:
                self._failures.recovered()
            self._tell()

    def on_exit(self) -> None:
        """Gives it back, so that another agent need not wait."""
        with self._beating:
            held, self._until = self.is_held, float("-inf")
            try:
                if held and self._seen is not None:
                    self.store.write(self._seen, "", time.monotonic() + RELEASE_S)
            except MicroscalingError as error:
                log.debug("the lease cannot be given back: %s", error)
        self.store.close()

    def _beat(self) -> None:
        began = self.clock()
        record = self.store.read(time.monotonic() + CALL_S)
        if record is None or self._seen is None or record.version != self._seen.version:
            self._seen, self._seen_at = record, self.clock()
        mine = record is None or record.holder in ("", self.holder)
        self.other = "" if mine or record is None else record.holder
        # One that holds it is left alone for as long as it may count on it, and a little longer.
        if not mine and began - self._seen_at < LEASE_S:
            self._until = float("-inf")
            return
        began = self.clock()
        if self.store.write(record, self.holder, time.monotonic() + CALL_S):
            # From the begin of the write: others may have seen it as early as that.
            self._until, self.other = began + HELD_S, ""
            self._seen = self.store.read(time.monotonic() + CALL_S)
            self._seen_at = self.clock()
        else:
            self._until = float("-inf")

    def _tell(self) -> None:
        held = self.is_held
        if held != self._was_held:
            self._was_held = held
            self.on_change(held)
