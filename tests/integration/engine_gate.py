"""A socket in front of an engine, which sees each request, and does to it what a test wants."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from tests.metric.faulty import shut

REFUSAL = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n"
    b'{"message": "not today"}'
)


class EngineGate:
    """Listens at `path`, and passes requests on to the engine's socket, each answer to the end."""

    def __init__(self, path: Path, engine: str) -> None:
        self.host = f"unix://{path}"
        self.engine = engine
        self.asked: list[str] = []
        """The paths of the requests, in their order."""
        self.overlaps = 0
        """Exchanges that began while another container was off its network."""
        self.refuse: Callable[[str], bool] = lambda path: False
        """A request is answered with an error, and is not passed on."""
        self.cut: Callable[[str], bool] = lambda path: False
        """It is not passed on, and its connection ends without an answer."""
        self.between: Callable[[str], object] = lambda path: None
        """Called after the engine's answer, before the agent gets it."""
        self._off: set[str] = set()
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(64)
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, name="gate", daemon=True).start()

    def exchanges(self) -> list[str]:
        """The paths of all requests that connect or disconnect."""
        return [path for path in self.asked if path.endswith(("/connect", "/disconnect"))]

    def close(self) -> None:
        shut(self._socket)
        self._socket.close()
        with self._lock:
            for sock in self._open:
                shut(sock)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), name="gate", daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), sock, sock.makefile("rb") as reader:
            while head := _head(reader):
                length = int(_field(head, b"content-length") or 0)
                body = reader.read(length)
                path = head.split(b" ", 2)[1].decode().partition("?")[0]
                path = path if path.startswith("/") else f"/{path}"
                with self._lock:
                    self.asked.append(path.removeprefix("/v1.41"))
                if self.cut(path):
                    return
                if self.refuse(path):
                    sock.sendall(REFUSAL)
                    continue
                self._note(path)
                if not self._pass_on(sock, head, body, path):
                    return

    def _note(self, path: str) -> None:
        with self._lock:
            if path.endswith("/disconnect"):
                self.overlaps += bool(self._off)
                self._off.add(path)
            elif path.endswith("/connect"):
                self._off.clear()

    def _pass_on(self, sock: socket.socket, head: bytes, body: bytes, path: str) -> bool:
        """Returns False if the connection ended with the answer."""
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self.engine)
            engine.sendall(_closing(head) + body)
            # Events go on for ever, so an answer is passed on as it comes.
            first = engine.recv(65536)
            self.between(path)
            while first:
                sock.sendall(first)
                first = engine.recv(65536)
        return False


def _head(reader: object) -> bytes:
    lines = []
    while line := reader.readline():  # type: ignore[attr-defined]
        lines.append(line)
        if line == b"\r\n":
            return b"".join(lines)
    return b""


def _field(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


def _closing(head: bytes) -> bytes:
    """The request, of which the answer ends with its connection."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([lines[0], b"Connection: close", *lines[1:]])
