"""Sockets with a total deadline for each operation: TCP, or TLS over it."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

from microscaling.errors import Stopped


class NothingYet(Exception):
    """There is nothing to read at the moment."""


class TooLong(Exception):
    """The other side has sent more than the limit of one message."""


class Waker:
    """A wait for a socket that other threads can end."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._hears, self._says = socket.socketpair()
        for end in (self._hears, self._says):
            end.setblocking(False)

    def wake(self) -> None:
        """Ends a wait, or the next one; never blocks, and may be called from any thread at any time."""
        with contextlib.suppress(OSError):  # full: it wakes anyway; closed: no wait is left
            self._says.send(b"!")

    def wait(self, sock: socket.socket, events: int, seconds: float) -> bool:
        """Waits for one of the events (of `select.poll`), a `wake`, or the end of the time. Returns whether
        it was an event."""
        poll = select.poll()
        poll.register(sock, events)
        poll.register(self._hears, select.POLLIN)
        ready = dict(poll.poll(max(0.0, seconds) * 1000))
        with contextlib.suppress(BlockingIOError):
            while self._hears.recv(4096):
                pass
        return sock.fileno() in ready

    def close(self) -> None:
        """Closes its pair of sockets; a later `wake` does nothing."""
        self._hears.close()
        self._says.close()


class Wire:
    """A connection for one thread, with those methods of a socket that websocket-client calls.

    Outside of `within` a read returns only data that has arrived, or raises NothingYet. Inside, every
    wait ends with TimeoutError when the time is up. Any wait ends with Stopped once the waker's `stopped`
    is set. After `most_bytes` without a `rewind` a read raises TooLong.
    """

    def __init__(self, waker: Waker, most_bytes: int) -> None:
        self.waker = waker
        self.most_bytes = most_bytes
        self.heeds_stop = True
        self._deadline: float | None = None
        self._count = 0
        self._sock: socket.socket | None = None

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Sets the total deadline of all operations in the block, in seconds from now."""
        self._deadline = time.monotonic() + seconds
        try:
            yield
        finally:
            self._deadline = None

    def rewind(self) -> None:
        """Starts counting the bytes for `most_bytes` from 0, at the begin of a message."""
        self._count = 0

    def dial(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Connects to the first address of the host that answers, never through a proxy; call it inside
        `within`. (Only the look-up of the name cannot be interrupted.)"""
        found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for number, (family, kind, proto, _, address) in enumerate(found, 1):
            try:
                self._connect(socket.socket(family, kind, proto), address, len(found) - number + 1)
                break
            except OSError:
                self.close()
                if number == len(found):
                    raise
        if tls is not None:
            self._shake_hands(tls, host)

    def wait(self, seconds: float) -> None:
        """Waits for data, a `wake`, or the end of the time."""
        if not self.heeds_stop or not self.waker.stopped.is_set():
            self.waker.wait(self._socket(), select.POLLIN, seconds)

    # The interface of a socket

    def recv(self, size: int) -> bytes:
        """Reads up to `size` bytes; b"" at the end of the stream."""
        if self._deadline is not None:
            self._left(self._deadline)  # without this a steady stream of bytes would defeat the deadline
        while True:
            try:
                data = self._socket().recv(size)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)
            else:
                self._count += len(data)
                if self._count > self.most_bytes:
                    raise TooLong
                return data

    def send(self, data: bytes) -> int:
        """Sends some of the data. Returns the number of bytes sent."""
        while True:
            try:
                return self._socket().send(data)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(select.POLLOUT)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)

    def gettimeout(self) -> float:
        """0: a socket that does not block."""
        return 0.0  # so that websocket-client does not wait by itself: `recv` and `send` do

    def settimeout(self, seconds: float | None) -> None:
        """Does nothing: `within` limits the waits."""

    def fileno(self) -> int:
        """The file descriptor of the socket. Raises OSError if it is closed."""
        return self._socket().fileno()

    def shutdown(self, how: int) -> None:
        """Shuts one or both directions down."""
        self._socket().shutdown(how)

    def close(self) -> None:
        """Closes the socket; a second time does nothing."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _socket(self) -> socket.socket:
        if self._sock is None:
            raise OSError("the connection is closed")
        return self._sock

    def _connect(self, sock: socket.socket, address: Any, shares: int) -> None:
        """Connects within one of `shares` equal parts of the time that is left. Raises OSError."""
        self._sock = sock
        sock.setblocking(False)
        # Small messages must not wait for the acknowledgement of the one before (Nagle's algorithm).
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = sock.connect_ex(address)
        if error == errno.EINPROGRESS:
            assert self._deadline is not None
            until = time.monotonic() + (self._deadline - time.monotonic()) / shares
            while not self._wait(select.POLLOUT, until):
                pass  # woken for something else
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))

    def _shake_hands(self, tls: ssl.SSLContext, host: str) -> None:
        secure = tls.wrap_socket(self._socket(), server_hostname=host, do_handshake_on_connect=False)
        self._sock = secure
        while True:
            try:
                return secure.do_handshake()
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)

    def _wait(self, events: int, until: float | None = None) -> bool:
        until = self._deadline if until is None else until
        if until is None:
            raise NothingYet
        return self.waker.wait(self._socket(), events, self._left(until))

    def _left(self, until: float) -> float:
        """Returns the seconds until then. Raises TimeoutError if there are none, Stopped after a stop."""
        if self.heeds_stop and self.waker.stopped.is_set():
            raise Stopped
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("it takes too long")
        return left
