"""A websocket that several parts of the agent share, and that reconnects after a loss."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping

from microscaling.clients.websocket.session import Link, Lost, trusting
from microscaling.clients.websocket.socket import Waker
from microscaling.errors import Stopped
from microscaling.utils.backoff import Backoff
from microscaling.utils.failure_log import FailureLog
from microscaling.utils.threads import StoppableThread, stop_all

log = logging.getLogger("mssapi")

Hear = Callable[[bytes], None]
"""Handles a message, in the connection's thread, so it must be quick."""

RETRY_S, MAX_RETRY_S, JITTER = 0.1, 1.0, 0.3
HELD_S = 5.0
"""Duration of a connection after which the next retry begins with RETRY_S again."""
JOIN_S = 1.0


class Connection:
    """One websocket for all its users, with a thread of its own that connects, serves and reconnects.

    A message that was not sent over one connection is dropped, not sent over the next. A failure is logged
    once, and retried without a limit.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, origin: str | None = None) -> None:
        self.url = url
        self.headers = dict(headers or {})
        self.origin = origin
        self._users: dict[object, Hear | None] = {}
        self._lock = threading.Lock()
        self._thread: _Keeper | None = None

    def open(self, user: object, hear: Hear | None = None) -> None:
        """Adds a user, whose `hear` gets every message. Returns at once; the first user starts the thread."""
        with self._lock:
            self._users[user] = hear
            if self._thread is None:
                self._thread = _Keeper(self)
                self._thread.start()

    def close(self, user: object) -> None:
        """Removes a user; the last one closes the connection."""
        with self._lock:
            self._users.pop(user, None)
            thread = None if self._users else self._thread
            self._thread = self._thread if self._users else None
        if thread is not None and stop_all([thread], JOIN_S):
            log.warning("still looking for the server at %s", self.url)

    @property
    def connected(self) -> bool:
        """Whether there is a connection now. Raises RuntimeError if the thread has died."""
        thread = self._thread
        if thread is not None and thread.error is not None:
            raise RuntimeError(f"the connection to {self.url} has died") from thread.error
        return thread is not None and thread.connected

    def said(self, header: str) -> str:
        """Returns a header of the server's answer to the handshake; "" without such a header, and while
        there is no connection."""
        thread = self._thread  # read once, as `close` in another thread may set it to None
        return "" if thread is None else thread.said.get(header.lower(), "")

    @property
    def threads(self) -> list[StoppableThread]:
        """The threads that run while it is open."""
        thread = self._thread
        return [] if thread is None else [thread]

    def send(self, text: str) -> bool:
        """Queues a message in place of one that is not sent yet. Returns False, at once, if there is no
        connection."""
        thread = self._thread
        return thread is not None and self.connected and thread.offer(text)

    def heard(self, message: bytes) -> None:
        """Passes a message to all users, in the connection's thread."""
        with self._lock:
            users = list(self._users.values())
        # Outside of the lock, so that a user may open or close in its handler.
        for hear in users:
            if hear is not None:
                hear(message)


class _Keeper(StoppableThread):
    """Connects, serves the connection until it is lost, and repeats that after a delay."""

    def __init__(self, connection: Connection) -> None:
        super().__init__("mss-websocket")
        self.connection = connection
        self.connected = False
        self.said: Mapping[str, str] = {}
        self.waker = Waker()
        self.backoff = Backoff(RETRY_S, MAX_RETRY_S, JITTER)
        self.failure_log = FailureLog()
        self._since = float("inf")
        self._tls: ssl.SSLContext | None = None
        self._outbox: str | None = None
        self._outbox_lock = threading.Lock()

    def stop(self) -> None:
        """Requests the end, and ends a wait for the socket."""
        super().stop()
        # The event alone would not end a wait for the socket.
        self.waker.stopped.set()
        self.waker.wake()

    def offer(self, text: str) -> bool:
        """Replaces the message that the thread sends next. Returns False without a connection."""
        with self._outbox_lock:
            if not self.connected:
                return False
            self._outbox = text
        self.waker.wake()
        return True

    def cycle(self) -> None:
        """One connection, from the first try to its loss, and the delay after it."""
        self._since = float("inf")
        try:
            self._connect_and_serve()
        except Stopped:
            return
        except Lost as lost:
            self._say_lost(lost)
        if time.monotonic() - self._since >= HELD_S:
            self.backoff.reset()  # not at the connect: a server may accept, and close at once, each time
        self.stopped.wait(self.backoff.next())

    def on_exit(self) -> None:
        """Closes the waker's sockets."""
        self.waker.close()

    def _connect_and_serve(self) -> None:
        link = Link(self.waker)
        try:
            self._connect(link)
            while not self.stopped.is_set():
                if (text := self._take()) is not None:
                    link.send(text)
                if (message := link.step()) is not None:
                    self.connection.heard(message)
            link.say_goodbye()
        finally:
            self._set_connected(False)
            self.said = {}
            link.close()

    def _connect(self, link: Link) -> None:
        connection = self.connection
        link.connect(connection.url, connection.headers, connection.origin, self._context())
        self.said = link.said
        self._set_connected(True)
        self._since = time.monotonic()
        again = self.failure_log.recovered()
        first = not self.backoff.tries
        log.log(
            logging.INFO if again or first else logging.DEBUG,
            "connected to the server at %s%s",
            connection.url,
            " again" if again else "",
        )

    def _context(self) -> ssl.SSLContext | None:
        if self._tls is None and self.connection.url.startswith("wss:"):
            self._tls = trusting()
        return self._tls

    def _take(self) -> str | None:
        """Takes the message to send out of the outbox; None if there is none."""
        with self._outbox_lock:
            text, self._outbox = self._outbox, None
        return text

    def _set_connected(self, connected: bool) -> None:
        with self._outbox_lock:
            self.connected = connected
            self._outbox = None  # a message for the last connection must not go over the next

    def _say_lost(self, why: Lost) -> None:
        if self.failure_log.failed(time.monotonic()):
            log.warning("no connection to the server at %s: %s; retrying", self.connection.url, why)
        else:
            log.debug("no connection to the server at %s: %s", self.connection.url, why)
