"""A connection on which nothing waits longer than it may: TCP, or TLS over it."""

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
    """The other side has sent more than it may at a time."""


class Waker:
    """Waits for a socket, and lets another thread end that wait."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._hears, self._says = socket.socketpair()
        for end in (self._hears, self._says):
            end.setblocking(False)

    def wake(self) -> None:
        """Never blocks; may be called from any thread, also when nobody waits any more."""
        with contextlib.suppress(OSError):  # full: it wakes anyway; closed: nobody waits
            self._says.send(b"!")

    def wait(self, sock: socket.socket, events: int, seconds: float) -> bool:
        """Until one of the events (of `select.poll`), a `wake`, or the end of the time. Returns
        whether it was an event."""
        poll = select.poll()
        poll.register(sock, events)
        poll.register(self._hears, select.POLLIN)
        ready = dict(poll.poll(max(0.0, seconds) * 1000))
        with contextlib.suppress(BlockingIOError):
            while self._hears.recv(4096):
                pass
        return sock.fileno() in ready

    def close(self) -> None:
        self._hears.close()
        self._says.close()


class Wire:
    """A connection for one thread, in place of a socket: websocket-client calls the methods that are
    named as a socket's.

    Outside of `within` a read takes only what has come, or raises NothingYet. Inside, every wait ends
    with TimeoutError when the time is up. Any wait ends with Stopped once the waker's `stopped` is
    set. After `most_bytes` without a `rewind` a read raises TooLong.
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
        """All that is done in the block has to be over in so many seconds."""
        self._deadline = time.monotonic() + seconds
        try:
            yield
        finally:
            self._deadline = None

    def rewind(self) -> None:
        """What comes now may be `most_bytes` long again."""
        self._count = 0

    def dial(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Connects to the first address of the host that answers; call it inside `within`. Never
        through a proxy. (Only the look-up of the name cannot be broken off.)"""
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
        """Until there is something to read, a `wake`, or the end of the time."""
        if not self.heeds_stop or not self.waker.stopped.is_set():
            self.waker.wait(self._socket(), select.POLLIN, seconds)

    # What a socket has

    def recv(self, size: int) -> bytes:
        if self._deadline is not None:
            self._left(self._deadline)  # also if there is always something to read
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
        while True:
            try:
                return self._socket().send(data)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(select.POLLOUT)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)

    def gettimeout(self) -> float:
        return 0.0  # websocket-client is not to wait: `recv` and `send` do

    def settimeout(self, seconds: float | None) -> None:
        """Waits are `within`'s to limit."""

    def fileno(self) -> int:
        return self._socket().fileno()

    def shutdown(self, how: int) -> None:
        self._socket().shutdown(how)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _socket(self) -> socket.socket:
        if self._sock is None:
            raise OSError("the connection is closed")
        return self._sock

    def _connect(self, sock: socket.socket, address: Any, shares: int) -> None:
        """Connects, in one of so many equal shares of the time that is left."""
        self._sock = sock
        sock.setblocking(False)
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
        """Seconds until then, if there are any and nobody has said stop."""
        if self.heeds_stop and self.waker.stopped.is_set():
            raise Stopped
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("it takes too long")
        return left
