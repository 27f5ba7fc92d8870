"""The control socket: JSON over HTTP, on a Unix socket that only the agent's user can open."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from microscaling.utils.text import short
from microscaling.utils.threads import StoppableThread

log = logging.getLogger("mssagent")

MAX_REQUEST = 16 * 1024
"""Bytes of a request's head."""
PATIENCE_S = 2.0
"""Longest wait (seconds) for a request, and for the reader of its answer."""
BACKLOG = 16
EVERY_S = 1.0
ROOT = 0
PEER = struct.Struct("3i")
"""pid, uid and gid: see SO_PEERCRED in socket(7)."""

Answer = tuple[int, Any]
"""The status of HTTP, and the body for JSON."""
Handler = Callable[[Mapping[str, str]], Answer]
"""Answers a request by the parameters of its query."""


class ControlServer(StoppableThread):
    """Answers one request at a time. `handlers`: method and path, such as "GET /status", to the function for
    them. A socket that cannot be made is logged, and the agent goes on without it."""

    def __init__(
        self, path: str, handlers: Mapping[str, Handler], every: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__("mss-control")
        self.path = path
        self.handlers = handlers
        self.every = every
        """Called about once a second."""
        self._listening: socket.socket | None = None
        self._given_up = False
        self._stop_read, self._stop_write = -1, -1

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
        if self._listening is None and (self._given_up or not self._listen()):
            self._given_up = True
            self.stopped.wait(EVERY_S)
            return
        assert self._listening is not None
        # The pipe ends the wait at once when the agent stops.
        readable, _, _ = select.select([self._listening.fileno(), self._stop_read], [], [], EVERY_S)
        if self._listening.fileno() in readable and not self.stopped.is_set():
            with contextlib.suppress(OSError):  # the other side has gone away: it misses its answer
                self._serve(self._listening.accept()[0])

    def on_exit(self) -> None:
        if self._listening is not None:
            self._listening.close()
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        for end in (self._stop_read, self._stop_write):
            os.close(end)
        self._stop_write = -1

    def _listen(self) -> bool:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if not self.path:
                raise OSError("there is no folder for it, or its path is too long")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)  # of an earlier process with this pid
            # In a folder that only this user can enter, so the moment before the next line does no harm.
            listening.bind(self.path)
            os.chmod(self.path, 0o600)
            listening.listen(BACKLOG)
        except OSError as error:
            listening.close()
            log.info("no control socket (%s): `microscaling status` will not see this agent", error)
            return False
        self._listening = listening
        return True

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(PATIENCE_S)
            line = _head(connection)
            # The rights of file and folder keep others out; this holds even if these have been changed.
            _, uid, _ = PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
            if uid in (ROOT, os.geteuid()):
                status, body = self._answer(line)
            else:
                status, body = 403, {"error": "only for the user of the agent"}
            text = json.dumps(body).encode()
            head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
            connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + text)

    def _answer(self, line: str) -> Answer:
        method, _, rest = line.partition(" ")
        try:
            target = urlsplit(rest.rpartition(" HTTP/")[0])
            handler = self.handlers.get(f"{method} {target.path}")
            if handler is None:
                return 404, {"error": f"there are {', '.join(self.handlers)}"}
            return handler(dict(parse_qsl(target.query, keep_blank_values=True)))
        except Exception as error:  # a question of a person must not end the agent
            log.warning("control socket: %s cannot be answered", short(line), exc_info=True)
            return 500, {"error": f"{type(error).__name__}: {error}"}


def _head(connection: socket.socket) -> str:
    """Reads a request up to the end of its head; returns its first line. A request without an end in time, or
    too long, raises OSError."""
    read = b""
    while b"\r\n\r\n" not in read:
        more = connection.recv(4096)
        if not more or len(read) > MAX_REQUEST:
            raise OSError("no request")
        read += more
    return read.split(b"\r\n", 1)[0].decode("latin-1")
