"""A server on a real socket that says the same to everybody, whatever it is asked."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

LISTENS_S = 1.0
LINGERS_S = 0.005


class Answering:
    """Reads what comes first on a connection, says `answers`, and hangs up. One connection at a time.

    `first`: what is said in its place to those who ask with these bytes.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.answers = b""
        self.first: dict[bytes, bytes] = {}
        self._closed = False
        if path is None:
            self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
            self.endpoint = f"127.0.0.1:{self._socket.getsockname()[1]}"
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(str(path))
            self._socket.listen(64)
            self.endpoint = str(path)
        self._thread = threading.Thread(target=self._serve, name="answering server", daemon=True)

    def __enter__(self) -> Answering:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def said(self, asked: bytes) -> bytes:
        """The answer to what came first."""
        return next((said for key, said in self.first.items() if key in asked), self.answers)

    def _serve(self) -> None:
        while not self._closed:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError):
                sock.settimeout(LISTENS_S)
                asked = sock.recv(2**16)
                sock.sendall(self.said(asked))
                sock.shutdown(socket.SHUT_WR)
                sock.settimeout(LINGERS_S)
                while sock.recv(2**16):  # else what it has not read breaks off what it has sent
                    pass


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer of HTTP, after which the connection is closed."""
    lines = (
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def stream(*parts: bytes) -> bytes:
    """The same in chunks, as events come."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)
    return head + chunks + b"0\r\n\r\n"
