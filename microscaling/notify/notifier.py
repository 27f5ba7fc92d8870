"""The thread that sends the messages for one destination."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator

from microscaling import __version__
from microscaling.errors import ConfigError, PermanentError
from microscaling.notify.destination import Destination, destinations
from microscaling.notify.message import Message
from microscaling.settings import Settings
from microscaling.utils.backoff import Backoff
from microscaling.utils.failure_log import FailureLog
from microscaling.utils.finding import Finding, ok
from microscaling.utils.text import alternatives, nearest, quoted
from microscaling.utils.threads import StoppableThread
from microscaling.watch.events import KINDS, USUAL, Event

log = logging.getLogger("mssagent")

MOST = 100
"""Messages that wait; the oldest go first."""
FIRST_S, MAX_S = 1.0, 60.0
MAX_AGE_S = 3600.0
"""Older news are none."""
LAST_S = 2.0
"""Time for the messages that are left when the agent ends."""


class Notifier(StoppableThread):
    """Sends one message after the other, each until it has arrived, is refused, or is an hour old.

    `put` never blocks: an address that is away costs messages, and no beat. `kinds`: the events that are
    sent.
    """

    def __init__(self, destination: Destination, kinds: Collection[str]) -> None:
        super().__init__(f"mss-notify {destination.name}")
        self.destination = destination
        self.kinds = kinds
        self.backoff = Backoff(FIRST_S, MAX_S, jitter=0.2)
        self.failure_log = FailureLog()
        self.dropped = 0
        self._waiting: deque[tuple[float, Message]] = deque()
        self._news = threading.Event()
        self._lock = threading.Lock()
        self.put([Event("started", f"microscaling {__version__} has started")])

    def stop(self) -> None:
        super().stop()
        self._news.set()

    def put(self, events: Iterable[Event]) -> None:
        """Takes events, and returns at once."""
        now = time.monotonic()
        # The id and the time are those of the event, and not of the first try.
        made = [(now, Message(event)) for event in events if event.kind in self.kinds]
        if not made:
            return
        with self._lock:
            self._waiting.extend(made)
            lost = len(self._waiting) - MOST
            for _ in range(lost):
                self._waiting.popleft()
            self.dropped += max(0, lost)
            first = 0 < lost == self.dropped
        if first:
            log.warning("%s: more than %d messages wait: the oldest are dropped", self.destination.name, MOST)
        self._news.set()

    def cycle(self) -> None:
        self._news.wait()
        self._news.clear()
        while not self.stopped.is_set() and (waiting := self._first()) is not None:
            if not self._try(*waiting):
                # In order: the others wait too, as an end that comes before its begin would mislead.
                self.rest(self.backoff.next())

    def on_exit(self) -> None:
        # The end of the agent is news, too; there is no time for a second try.
        self.put([Event("stopping", f"microscaling {__version__} ends")])
        until = time.monotonic() + LAST_S
        while (waiting := self._first()) is not None and time.monotonic() < until:
            self._drop(waiting[1])
            try:
                self.destination.send(waiting[1])
            except Exception:  # a library of others may raise anything
                break  # the next one would only cost the agent's end the same time again
        self.destination.close()

    def _first(self) -> tuple[float, Message] | None:
        with self._lock:
            return self._waiting[0] if self._waiting else None

    def _drop(self, message: Message) -> None:
        with self._lock:
            # `put` may have dropped it meanwhile.
            if self._waiting and self._waiting[0][1] is message:
                self._waiting.popleft()

    def _try(self, since: float, message: Message) -> bool:
        """Sends a message once. Returns False if it is to be sent again, after a while."""
        try:
            self.destination.send(message)
        except PermanentError as error:
            log.warning("a message is refused, and not sent again: %s", error)
        except Exception as error:  # a library of others may raise anything
            if self.failure_log.failed(time.monotonic(), type(error).__name__):
                log.warning("a message cannot be sent, and is tried again: %s", error)
            if time.monotonic() - since < MAX_AGE_S:
                return False
        else:
            if self.failure_log.recovered():
                log.info("%s: messages arrive again", self.destination.name)
        self.backoff.reset()
        self._drop(message)
        return True


def notifiers(settings: Settings) -> list[Notifier]:
    """Returns a thread for each destination. Raises ConfigError."""
    kinds = kinds_of(settings.notify_events)
    made = [Notifier(destination, kinds) for destination in destinations(settings)]
    for each in made:
        log.info("messages go to %s: %s", each.destination.name, ", ".join(kinds))
    return made


def examine(settings: Settings) -> Iterator[Finding]:
    """Yields a finding for each destination, and sends nothing. Raises ConfigError."""
    kinds = kinds_of(settings.notify_events)
    for destination in destinations(settings):
        destination.close()
        yield ok(f"messages would go to {destination.name}: {', '.join(kinds)}")


def kinds_of(text: str) -> tuple[str, ...]:
    """Returns the events that MSS_NOTIFY_EVENTS names. Raises ConfigError."""
    names = [name for name in text.replace(",", " ").lower().split() if name]
    if names == ["all"]:
        return tuple(KINDS)
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        meant = nearest(unknown[0], KINDS)
        hint = f"did you mean {meant}? " if meant else ""
        raise ConfigError(
            f"MSS_NOTIFY_EVENTS: there is no event {quoted(unknown[0])}; {hint}there are all, "
            f"{alternatives(KINDS)}"
        )
    return tuple(names) or USUAL
