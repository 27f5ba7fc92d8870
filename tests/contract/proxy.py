"""Stands between a scheduler and what it talks to, and lets through as much as a test wants."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

DRIP_S = 0.05
HTML = b"<html><body>Welcome to nginx!</body></html>"
FAULTS = (
    "is away",
    "hangs",
    "drips",
    "resets half way",
    "loses replies",
    "talks garbage",
    "talks HTML",
    "answers 500",
    "answers 503",
)


class Proxy:
    """On a port of its own in front of `upstream`: a port of this machine, or the path of a socket.

    `set` decides what becomes of every connection: "works", or one of FAULTS. It resets those that
    are open. `spoilt` counts the connections that did not work.
    """

    def __init__(self, upstream: int | str) -> None:
        self.upstream = upstream
        self.mode = "works"
        self.deaf_to: Callable[[bytes], bool] = lambda request: False
        """Requests that are never passed on, nor answered, while all others are."""
        self.spoilt = 0
        self.closing = False
        self.lock = threading.Lock()
        self.open: set[_Connection] = set()
        self.threads: list[threading.Thread] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def __enter__(self) -> Proxy:
        self.run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.closing = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.set(self.mode)
        for thread in self.threads:
            thread.join()
        self.socket.close()

    def set(self, mode: str) -> None:
        with self.lock:
            self.mode = mode
            connections = list(self.open)
        for connection in connections:
            connection.cut()

    def run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="proxy", daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.closing:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            with self.lock:
                connection = _Connection(self, sock, self.mode)
                self.open.add(connection)
                self.spoilt += self.mode != "works"
            self.run(connection.serve)


class _Connection:
    def __init__(self, proxy: Proxy, client: socket.socket, mode: str) -> None:
        self.proxy = proxy
        self.client = client
        self.mode = mode
        self.server: socket.socket | None = None
        self.over = threading.Event()

    def cut(self) -> None:
        self.over.set()
        for sock in (self.client, self.server):
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        try:
            with contextlib.suppress(OSError):
                self._serve()
        finally:
            self.cut()
            if self.mode != "works":  # a reset, not an end
                self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.client.close()
            if self.server is not None:
                self.server.close()
            with self.proxy.lock:
                self.proxy.open.discard(self)

    def _serve(self) -> None:
        if self.mode == "is away":
            return
        if self.mode == "hangs":
            self.over.wait()
        elif self.mode.startswith(("talks", "answers")):
            self._answer()
        else:
            self._connect()
            self.proxy.run(self._requests)
            self._replies()

    def _answer(self) -> None:
        while self.client.recv(65536):
            if self.mode == "talks garbage":
                self.client.sendall(b"\x15\x03\x01\x00\x02\x02\x0a")
                return
            status = {"talks HTML": b"200 OK", "answers 500": b"500 Internal Server Error"}.get(
                self.mode, b"503 Service Unavailable"
            )
            head = b"HTTP/1.1 %b\r\nContent-Type: text/html\r\nContent-Length: %d\r\n" % (status, len(HTML))
            self.client.sendall(head + b"Connection: close\r\n\r\n" + HTML)
            return

    def _connect(self) -> None:
        upstream = self.proxy.upstream
        if isinstance(upstream, int):
            self.server = socket.create_connection(("127.0.0.1", upstream))
        else:
            self.server = socket.socket(socket.AF_UNIX)
            self.server.connect(upstream)

    def _requests(self) -> None:
        assert self.server is not None
        with contextlib.suppress(OSError):
            while data := self.client.recv(65536):
                if not self.proxy.deaf_to(data):
                    self.server.sendall(data)
        self.cut()

    def _replies(self) -> None:
        assert self.server is not None
        while data := self.server.recv(65536):
            if self.mode == "loses replies":
                return
            if self.mode == "resets half way":
                self.client.sendall(data[: len(data) // 2])
                return
            if self.mode == "works":
                self.client.sendall(data)
                continue
            for i in range(len(data)):
                if self.over.wait(DRIP_S):
                    return
                self.client.sendall(data[i : i + 1])
