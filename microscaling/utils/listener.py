"""A thread that answers HTTP requests without a body, one after the other, each within a total deadline."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from dataclasses import dataclass, field

from microscaling.utils.threads import StoppableThread

MAX_HEAD = 16 * 1024
"""Bytes of a request's head."""
PATIENCE_S = 2.0
"""Longest time (seconds) for a request, and for the other side to take its answer."""
EVERY_S = 1.0
REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}


@dataclass(frozen=True)
class Request:
    """The head of a request."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    """By their names in lower case."""


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"


class Listener(StoppableThread):
    """Accepts connections of one socket. A subclass writes `listen`, which is called in the thread, and
    `reply`."""

    # One at a time: the askers are a person or a scrape a few times a minute, and a deadline for each keeps
    # those that send nothing from blocking the others for long.

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._listening: socket.socket | None = None
        self._given_up = False
        self._stop_read, self._stop_write = -1, -1

    def listen(self) -> socket.socket | None:
        """Returns the socket; None to go on without one."""
        raise NotImplementedError  # pragma: no cover - subclasses must write it

    def reply(self, connection: socket.socket, request: Request) -> Reply:
        """Answers one request."""
        raise NotImplementedError  # pragma: no cover - subclasses must write it

    def every(self) -> None:
        """Hook, called about once a second."""

    def start(self) -> None:
        """Starts the thread, with a pipe by which it can be woken."""
        self._stop_read, self._stop_write = os.pipe()
        super().start()

    def stop(self) -> None:
        super().stop()
        if self._stop_write >= 0:
            with contextlib.suppress(OSError):
                os.write(self._stop_write, b"x")

    def cycle(self) -> None:
        self.every()
        if self._listening is None and not self._given_up:
            self._listening = self.listen()
            self._given_up = self._listening is None
        if self._listening is None:
            self.stopped.wait(EVERY_S)
            return
        # The pipe ends the wait at once when the agent stops.
        readable, _, _ = select.select([self._listening.fileno(), self._stop_read], [], [], EVERY_S)
        if self._listening.fileno() in readable and not self.stopped.is_set():
            with contextlib.suppress(OSError):  # the other side has gone away: it misses its answer
                self._serve(self._listening.accept()[0])

    def on_exit(self) -> None:
        if self._listening is not None:
            self._listening.close()
        for end in (self._stop_read, self._stop_write):
            os.close(end)
        self._stop_write = -1

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            request = read_request(connection, time.monotonic() + PATIENCE_S)
            answer = self.reply(connection, request)
            head = (
                f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, '-')}\r\n"
                f"Content-Type: {answer.kind}\r\nContent-Length: {len(answer.body)}\r\n"
                "Connection: close\r\n\r\n"
            )
            connection.settimeout(PATIENCE_S)  # for all of it: see socket.sendall
            connection.sendall(head.encode() + (b"" if request.method == "HEAD" else answer.body))


def read_request(connection: socket.socket, until: float) -> Request:
    """Reads a request up to the end of its head. One that is too long, or has no end at `until` (monotonic
    seconds), raises OSError."""
    read = b""
    while b"\r\n\r\n" not in read:
        left = until - time.monotonic()
        if left <= 0 or len(read) > MAX_HEAD:
            raise OSError("no request")
        connection.settimeout(left)  # a byte now and then must not keep the others waiting
        more = connection.recv(4096)
        if not more:
            raise OSError("no request")
        read += more
    first, *lines = read.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(method, rest.rpartition(" HTTP/")[0], headers)
