"""A queue that can be measured, well or badly: a real HTTP server that speaks as nsqd does."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable

from tests.metric.faulty import read_head, response, shut

DRIP_S = 0.05
HTML = b"<html><body><h1>It works!</h1></body></html>"
JSON = "Content-Type: application/json"


def loopback(port: int) -> socket.socket:
    """Returns a socket that listens where all of this machine may ask; port 0: any that is free."""
    return socket.create_server(("127.0.0.1", port), backlog=64)


class Source:
    """One nsqd with one topic, on a port that it keeps. `waiting`: the length of its queue (items).

    `host` and `listen`: where it can be asked.
    `on_served(length)` is called when it has answered well. `set(mode)` decides what it does from now
    on: "good" or one of MODES.
    """

    def __init__(
        self,
        name: str,
        on_served: Callable[[int], None],
        host: str = "127.0.0.1",
        listen: Callable[[int], socket.socket] = loopback,
    ) -> None:
        self.name = name
        self.on_served = on_served
        self.host = host
        self.listen = listen
        self.waiting = 0
        self.mode = "good"
        self.changed = threading.Event()
        """Ends what goes on in the mode that was set before."""
        self.lock = threading.Lock()
        self.open: set[socket.socket] = set()
        self.socket: socket.socket | None = None
        self.port = 0
        self._listen()

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{self.port}"

    def set(self, mode: str) -> None:
        with self.lock:
            self.mode = mode
            self.changed.set()
            self.changed = threading.Event()
            for sock in self.open:
                shut(sock)
            if mode in ("refuse", "stopped"):
                self._refuse()
            elif self.socket is None:
                self._listen()

    def stop(self) -> None:
        self.set("stopped")

    def _listen(self) -> None:
        self.socket = self.listen(self.port)
        self.port = self.socket.getsockname()[1]
        self._thread(self._accept, self.socket)

    def _refuse(self) -> None:
        if self.socket is not None:
            shut(self.socket)
            self.socket.close()
            self.socket = None

    def _thread(self, work: Callable[[socket.socket], None], sock: socket.socket) -> None:
        threading.Thread(target=work, args=(sock,), name=f"source {self.name}", daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            with self.lock:
                self.open.add(sock)
            self._thread(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError):
                sock.settimeout(60)
                while read_head(sock) and self._answer(sock):
                    pass
        finally:
            with self.lock:
                self.open.discard(sock)
            sock.close()

    def _answer(self, sock: socket.socket) -> bool:
        """Answers one request; returns whether the connection stays open."""
        with self.lock:
            mode, changed, waiting = self.mode, self.changed, self.waiting
        if mode == "good":
            sock.sendall(response(self.stats(waiting), "200 OK", JSON))
            self.on_served(waiting)
            return True
        behave = MODES[mode]
        return behave(self, sock, changed)

    def stats(self, depth: object) -> bytes:
        """As nsqd since 1.0 writes it."""
        channel = {"channel_name": "work", "depth": depth, "in_flight_count": 0, "paused": False}
        topic = {"topic_name": self.name, "depth": 0, "channels": [channel]}
        return json.dumps({"version": "1.2.1", "health": "OK", "topics": [topic]}).encode()


Behave = Callable[[Source, socket.socket, threading.Event], bool]


def _depth(depth: object) -> Behave:
    def behave(source: Source, sock: socket.socket, changed: threading.Event) -> bool:
        sock.sendall(response(source.stats(depth), "200 OK", JSON))
        return True

    return behave


def _body(body: bytes, status: str = "200 OK", *headers: str) -> Behave:
    def behave(source: Source, sock: socket.socket, changed: threading.Event) -> bool:
        sock.sendall(response(body, status, *headers))
        return True

    return behave


def _bytes(told: bytes) -> Behave:
    def behave(source: Source, sock: socket.socket, changed: threading.Event) -> bool:
        sock.sendall(told)
        return False

    return behave


def _hang(source: Source, sock: socket.socket, changed: threading.Event) -> bool:
    """Takes the request and never answers."""
    changed.wait(60)
    return False


def _drip(source: Source, sock: socket.socket, changed: threading.Event) -> bool:
    """A good answer, but it would take minutes."""
    for byte in response(source.stats(source.waiting) + b" " * 2000):
        if changed.wait(DRIP_S):
            return False
        sock.sendall(bytes([byte]))
    return False


def _pour(source: Source, sock: socket.socket, changed: threading.Event) -> bool:
    """An answer without end."""
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not changed.wait(0.01):
        sock.sendall(b" " * 65536)
    return False


def _reset(source: Source, sock: socket.socket, changed: threading.Event) -> bool:
    """Half an answer, and then the connection is reset."""
    answer = response(source.stats(source.waiting))
    sock.sendall(answer[: len(answer) // 2])
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def _half(source: Source, sock: socket.socket, changed: threading.Event) -> bool:
    """Half an answer, and then a proper end."""
    answer = response(source.stats(source.waiting))
    sock.sendall(answer[: len(answer) // 2])
    return False


def _fin(source: Source, sock: socket.socket, changed: threading.Event) -> bool:
    """An end without a word, but the connection stays half open for a while."""
    sock.shutdown(socket.SHUT_WR)
    changed.wait(5)
    return False


def _one_off(source: Source, sock: socket.socket, changed: threading.Event) -> bool:
    raise AssertionError("nobody can be connected")


MODES: dict[str, Behave] = {
    "refuse": _one_off,
    "hang": _hang,
    "drip": _drip,
    "pour": _pour,
    "garbage": _bytes(b"\x00\x16\x03\xff\r\n\r\n"),
    "broken JSON": _body(b'{"topics": [{', "200 OK", JSON),
    "other JSON": _body(b'{"topics": 17}', "200 OK", JSON),
    "negative": _depth(-7),
    "huge": _depth(10**30),
    "NaN": _depth(float("nan")),
    "infinite": _depth(float("inf")),
    "null": _depth(None),
    "HTML": _body(HTML, "200 OK", "Content-Type: text/html"),
    "status 500": _body(HTML, "500 Internal Server Error", "Content-Type: text/html"),
    "redirect": _body(b"", "302 Found", "Location: /elsewhere"),
    "empty": _body(b"", "200 OK", JSON),
    "reset": _reset,
    "half": _half,
    "FIN": _fin,
}
"""Everything that is not a valid reading."""
