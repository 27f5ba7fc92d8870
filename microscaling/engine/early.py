"""Looks between two beats, at sources that have reported a change, and what cheap ones have shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from microscaling.engine.poll import Poll, Reading


class Early:
    """The sources that are to be asked before the next beat, and those that have answered. Thread-safe.

    A source is looked at early at most once in `beat_s` seconds, and once in its own interval. `wake` is
    called when there is something to do.
    """

    def __init__(self, beat_s: float, wake: Callable[[], None]) -> None:
        self.beat_s = beat_s
        self._wake = wake
        self._lock = threading.Lock()
        self._told: dict[Poll, None] = {}
        self._asked: set[Poll] = set()
        self._answered: dict[Poll, None] = {}
        self._seen: dict[Poll, Reading] = {}
        self._last: dict[Poll, float] = {}
        """Time of the last early look at a source (seconds)."""

    def tell(self, poll: Poll) -> None:
        """Notes that a source has reported a change; called from any thread."""
        with self._lock:
            self._told[poll] = None
        self._wake()

    def to_ask(self, now: float) -> list[Poll]:
        """Returns the sources to ask now."""
        with self._lock:
            # One that is busy may have counted before the change, so it stays until it is free.
            found = [poll for poll in self._told if not poll.busy and self._may(poll, now)]
            for poll in found:
                del self._told[poll]
                self._last[poll] = now
            self._asked.update(found)
        return found

    def finished(self, poll: Poll) -> None:
        """Notes the end of a request; called from the thread of the source."""
        with self._lock:
            early = poll in self._asked
            self._asked.discard(poll)
            if early:
                self._answered[poll] = None
            to_do = early or poll in self._told
        if to_do:
            self._wake()

    def answered(self) -> list[Poll]:
        """Returns the sources that were asked early and have answered since the last call."""
        with self._lock:
            found, self._answered = [*self._answered], {}
        return found

    def saw(self, poll: Poll, reading: Reading) -> None:
        """Notes an answer that lets a task have more at once; called from the thread of the source."""
        with self._lock:
            self._seen[poll] = reading
        self._wake()

    def seen(self) -> list[tuple[Poll, Reading]]:
        """Returns those answers, the last one of each source since the last call."""
        with self._lock:
            found, self._seen = [*self._seen.items()], {}
        return found

    def forget(self, polls: Collection[Poll]) -> None:
        """Forgets all but these sources, after a change of the tasks."""
        with self._lock:
            for known in (self._told, self._answered, self._last, self._seen):
                for poll in [poll for poll in known if poll not in polls]:
                    del known[poll]
            self._asked.intersection_update(polls)

    def _may(self, poll: Poll, now: float) -> bool:
        # Whoever has set a long interval finds its questions dear.
        last = self._last.get(poll)
        return last is None or now - last >= max(self.beat_s, poll.interval_s)
