"""Connections of urllib3 that keep to a deadline, whatever the server does.

The time-outs of requests and urllib3 are per read, so a server that sends a byte now and then keeps a
request alive for ever. Here the connection and every single read get what is left until the deadline of
the call. A call stays in its thread, so that is where its deadline is kept.
"""

from __future__ import annotations

import errno
import http.client
import io
import socket
import threading
import time
from typing import Any

_call = threading.local()


def limit_call(seconds: float) -> None:
    """What this thread asks from now on, over connections of `deadline_pools`, is over by then."""
    _call.deadline = time.monotonic() + seconds


def time_left() -> float:
    """Seconds until this thread's call has to be over. Raises TimeoutError when it is."""
    left: float = _call.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket, each read limited to what is left of the call."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self.sock = sock
        self.raw = raw
        self.count = 0
        self.in_head = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self.sock.settimeout(time_left())
        count = self.raw.readinto(buffer)
        self.count += count or 0
        if count == 0 and self.count and self.in_head:
            # Python takes that for the end of the head, and half a header for a whole one.
            raise ConnectionError("the answer ends within its head")
        return count

    def close(self) -> None:
        if not self.closed:
            self.raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer whose head and body come through a `_DeadlineReader`."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw: Any = self.fp.detach()
        self._reader = _DeadlineReader(sock, raw)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        self._reader.in_head = True
        super().begin()
        self._reader.in_head = False


class _Connecting:
    """What both kinds of connection do otherwise than urllib3's own."""

    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """Tries every address of the host, all within the deadline: urllib3 gives each its own.

        A TLS handshake comes next, and takes the time-out that is set here as a total.
        """
        host, port = self._dns_host, self.port  # type: ignore[attr-defined]
        found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for number, (family, kind, proto, _, address) in enumerate(found, 1):
            sock = socket.socket(family, kind, proto)
            try:
                sock.settimeout(time_left() / (len(found) - number + 1))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(time_left())
                return sock
            except OSError as error:
                sock.close()
                if isinstance(error, (ConnectionResetError, BrokenPipeError)):
                    # urllib3 takes these for an answer that came early, and goes on without a connection.
                    error = ConnectionAbortedError(errno.ECONNABORTED, error.strerror)
                if number == len(found):
                    raise error
        raise OSError("the host has no address")


def deadline_pools() -> dict[str, Any]:
    """By scheme, what a PoolManager of urllib3 is to make its pools of, so that their connections keep
    to the deadline of `limit_call`."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(HTTPConnectionPool):
        ConnectionCls = type("Plain", (_Connecting, HTTPConnection), {})

    class Secure(HTTPSConnectionPool):
        ConnectionCls = type("Secure", (_Connecting, HTTPSConnection), {})

    return {"http": Plain, "https": Secure}
