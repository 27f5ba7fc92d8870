"""A connection to a server that answers in lines of text, with one deadline for each whole answer."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from microscaling.clients.tcp.connect import connect

MAX_BYTES = 2**20
CHUNK = 2**16


class LineConnection:
    """Opens itself when it is first used, and anew after an error. For one thread at a time."""

    def __init__(self, host: str, port: int, max_bytes: int = MAX_BYTES) -> None:
        self._address = host, port
        self._max_bytes = max_bytes
        self._socket: socket.socket | None = None

    @contextmanager
    def exchange(self, request: bytes, deadline_s: float) -> Iterator[Answer]:
        """Sends a request; its answer is read in the block, and all of that ends within `deadline_s`. Raises
        OSError (TimeoutError at the deadline). Any error, also in the block, closes the connection."""
        deadline = Deadline(deadline_s)
        try:
            sock = self._connected(deadline)
            sock.settimeout(deadline.left())
            sock.sendall(request)
            answer = Answer(sock, deadline, self._max_bytes)
            yield answer
            if answer.rest:
                self.close()  # what is left would be taken for the beginning of the next answer
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection; the next request opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self, deadline: Deadline) -> socket.socket:
        # Readable without a request: the server has closed it, or has sent a late answer.
        if self._socket is not None and select.select([self._socket], [], [], 0)[0]:
            self.close()
        if self._socket is None:
            self._socket = connect(*self._address, deadline.left)
        return self._socket


class Deadline:
    """The end of an exchange."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self) -> float:
        """Returns the remaining seconds. Raises TimeoutError at the deadline."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


class Answer:
    """An answer, read as it arrives."""

    def __init__(self, sock: socket.socket, deadline: Deadline, max_bytes: int) -> None:
        self._socket = sock
        self._deadline = deadline
        self._max_bytes = self._allowed = max_bytes
        self.rest = bytearray()
        """Bytes that have arrived and are not read yet."""

    def line(self) -> bytes:
        """Returns the next line without its end (LF, or CR LF). Raises OSError."""
        searched = 0  # what was searched once has no end of a line in it
        while (end := self.rest.find(b"\n", searched)) < 0:
            searched = len(self.rest)
            self._receive()
        return self._taken(end + 1).rstrip(b"\r\n")

    def exactly(self, size: int) -> bytes:
        """Returns the next `size` bytes. Raises OSError."""
        if size > self._max_bytes:
            raise self._too_long()
        while len(self.rest) < size:
            self._receive()
        return self._taken(size)

    def _taken(self, size: int) -> bytes:
        taken = bytes(self.rest[:size])
        del self.rest[:size]
        return taken

    def _receive(self) -> None:
        self._socket.settimeout(self._deadline.left())
        got = self._socket.recv(CHUNK)
        if not got:
            raise ConnectionError("the connection was closed before the end of the answer")
        self._allowed -= len(got)
        if self._allowed < 0:
            raise self._too_long()
        self.rest += got

    def _too_long(self) -> OSError:
        return OSError(f"the answer is longer than {self._max_bytes} bytes")
