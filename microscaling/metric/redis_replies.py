"""The answers of Redis (RESP 2), read many at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CHUNK_BYTES = 2**18
END = b"\r\n"
QUEUED = b"+QUEUED\r\n"
MAX_DEPTH = 8


class Replies:
    """Reads replies from a socket.

    The library's own parser takes most of the time of a beat with hundreds of queues: it looks at each of a
    thousand replies as if it were the only one. `receive` returns up to so many bytes, none at the end of the
    connection; `error_of` returns the exception for an error reply.
    """

    def __init__(self, receive: Callable[[int], bytes], error_of: Callable[[str], Exception]) -> None:
        self._receive, self._error_of = receive, error_of
        self._data, self._at = b"", 0

    def read(self, depth: int = 0) -> Any:
        """Returns the next reply: bytes, a whole number, None, a list, or the exception of an error reply.
        Raises EOFError at the end of the connection, and ValueError for anything but a reply."""
        data, at = self._data, self._at
        # Within a transaction all replies but the last are this one.
        if data.startswith(QUEUED, at):
            self._at = at + len(QUEUED)
            return b"QUEUED"
        end = data.find(END, at)
        if end < 0:
            end = self._end_of_line()
            data, at = self._data, self._at
        kind, rest = data[at : at + 1], data[at + 1 : end]
        self._at = end + len(END)
        if kind == b"$":
            size = _size(rest)
            return None if size is None else self._bulk(size)
        if kind == b":":
            return int(rest)
        if kind == b"*":
            size = _size(rest)
            if depth == MAX_DEPTH:
                raise ValueError("a reply within too many others")
            return None if size is None else [self.read(depth + 1) for _ in range(size)]
        if kind == b"+":
            return rest
        if kind == b"-":
            return self._error_of(rest.decode("utf-8", "replace"))
        raise ValueError("not a reply of Redis")

    def _end_of_line(self) -> int:
        """Receives until there is an end of a line, and returns its place."""
        looked = self._at
        while (end := self._data.find(END, looked)) < 0:
            # The last byte may be the first one of an end.
            looked = max(self._at, len(self._data) - 1) - self._at
            self._data, self._at = self._data[self._at :] + self._part(), 0
        return end

    def _bulk(self, size: int) -> bytes:
        """Returns so many bytes, and goes behind the end of the line after them."""
        missing = self._at + size + len(END) - len(self._data)
        if missing > 0:
            parts = [self._data[self._at :]]
            while missing > 0:
                parts.append(self._part())
                missing -= len(parts[-1])
            self._data, self._at = b"".join(parts), 0
        end = self._at + size
        if self._data[end : end + len(END)] != END:
            raise ValueError("a reply of another length than it says")
        found = self._data[self._at : end]
        self._at = end + len(END)
        return found

    def _part(self) -> bytes:
        part = self._receive(CHUNK_BYTES)
        if not part:
            raise EOFError("the server has closed the connection")
        return part


def _size(digits: bytes) -> int | None:
    """Returns a length; None for the one that stands for nothing. Raises ValueError."""
    size = int(digits)
    if size < -1:
        raise ValueError("a length below zero")
    return None if size == -1 else size
