"""Connections of urllib3 with a total deadline per call.

The time-outs of requests and urllib3 are per read, so a server that sends a byte now and then keeps a
request alive for ever. Here each connect and each read gets the rest of the time until the deadline of
the call. A call stays in its thread, so its deadline is a variable of the thread.
"""

from __future__ import annotations

import errno
import http.client
import io
import socket
import threading
import time
from typing import Any

from microscaling.clients.tcp.connect import connect

_call = threading.local()


def limit_call(seconds: float) -> None:
    """Sets the deadline of this thread's requests over connections of `deadline_pools`: now + `seconds`."""
    _call.deadline = time.monotonic() + seconds


def time_left() -> float:
    """Returns the seconds until the deadline of this thread's call. Raises TimeoutError after it."""
    left: float = _call.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket, with the rest of the call's time as the limit of each read. `begun`: what was read
    from it before."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, begun: bytes) -> None:
        self.sock = sock
        self.raw = raw
        self.begun = begun
        self.count = 0
        self.in_head = False

    def readable(self) -> bool:
        """True, for io.BufferedReader."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Reads once. Raises TimeoutError after the deadline, ConnectionError at an end within the head."""
        count: int | None
        if self.begun:
            part, self.begun = self.begun[: len(buffer)], self.begun[len(buffer) :]
            buffer[: len(part)], count = part, len(part)
        else:
            self.sock.settimeout(time_left())
            count = self.raw.readinto(buffer)
        self.count += count or 0
        if count == 0 and self.count and self.in_head:
            # Python would take that for the end of the head, and half a header for a whole one.
            raise ConnectionError("the answer ends within its head")
        return count

    def close(self) -> None:
        if not self.closed:
            self.raw.close()
        super().close()


class DeadlineResponse(http.client.HTTPResponse):
    """An answer that is read through a `_DeadlineReader`."""

    def __init__(self, sock: socket.socket, *args: Any, begun: bytes = b"", **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw: Any = self.fp.detach()
        self._reader = _DeadlineReader(sock, raw, begun)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Reads the head of the answer."""
        self._reader.in_head = True
        super().begin()
        self._reader.in_head = False


class _Connecting:
    """The differences of both kinds of connection from urllib3's own."""

    response_class = DeadlineResponse

    def _new_conn(self) -> socket.socket:
        """Connects to the first address of the host that answers, within the deadline. Raises OSError."""
        try:
            return connect(self._dns_host, self.port, time_left)  # type: ignore[attr-defined]
        except (ConnectionResetError, BrokenPipeError) as error:
            # urllib3 would take these for an early answer, and go on without a connection.
            raise ConnectionAbortedError(errno.ECONNABORTED, error.strerror) from None


def deadline_pools() -> dict[str, Any]:
    """Returns the classes of pools by scheme, for a PoolManager of urllib3, whose connections keep to the
    deadline of `limit_call`."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(HTTPConnectionPool):
        ConnectionCls = type("Plain", (_Connecting, HTTPConnection), {})

    class Secure(HTTPSConnectionPool):
        ConnectionCls = type("Secure", (_Connecting, HTTPSConnection), {})

    return {"http": Plain, "https": Secure}
