"""A proxy in front of a real service, which breaks what the service answers as a test wants."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LASTS_S = 12.0
"""What hangs or drips goes on for so long, and then all is well after all: a metric without a total
deadline waits for that, and reports the value."""

Fault = Callable[["Pipe", bytes], bool]
"""Passes on, or not, what the service has answered; False: and then the connection ends."""


class Proxy:
    """Every connection to it is one to `target` ("host:port", or the path of a socket), until `fault` is
    set."""

    def __init__(self, target: str, own_port: int = 0) -> None:
        self.target = target
        self.fault: Fault | None = None
        self.closing = threading.Event()
        self.hits = 0
        self._socket = socket.create_server(("127.0.0.1", own_port))
        self.endpoint = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, name="proxy")
        self._pipes: list[Pipe] = []

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        shut(self._socket)
        self._thread.join()
        for pipe in self._pipes:
            pipe.shut()
        for pipe in self._pipes:
            pipe.join()

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[None]:
        """For a while, this happens to every answer."""
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                self._socket.close()
                return
            pipe = Pipe(self, client)
            self._pipes.append(pipe)
            pipe.start()


class Pipe(threading.Thread):
    """One connection of a client, and the one to the service that belongs to it."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        super().__init__(name="proxy")
        self.proxy = proxy
        self.client = client
        self.service = connected(proxy.target)

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while self._pass_on(select.select([self.client, self.service], [], [])[0]):
                pass
        self.client.close()
        self.service.close()

    def shut(self) -> None:
        shut(self.client)
        shut(self.service)

    def _pass_on(self, readable: list[socket.socket]) -> bool:
        """False: it is over. What the client says goes to the service as it is."""
        if self.client in readable:
            asked = self.client.recv(65536)
            self.service.sendall(asked)
            return bool(asked)
        answer = self.service.recv(65536)
        if self.proxy.fault is None or not answer:
            self.client.sendall(answer)
            return bool(answer)
        self.proxy.hits += 1
        return self.proxy.fault(self, answer)


def connected(target: str) -> socket.socket:
    if target.startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(target)
        return sock
    host, _, port = target.rpartition(":")
    return socket.create_connection((host, int(port)))


def shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def hangs(pipe: Pipe, answer: bytes) -> bool:
    pipe.proxy.closing.wait(LASTS_S)
    pipe.client.sendall(answer)
    return True


def drips(pipe: Pipe, answer: bytes) -> bool:
    """A byte now and then, so slowly that even the shortest answer takes all the time."""
    pause = LASTS_S / max(1, len(answer) - 1)
    for i in range(len(answer)):
        pipe.client.sendall(answer[i : i + 1])
        pipe.proxy.closing.wait(pause)
    return True


def resets_half_way(pipe: Pipe, answer: bytes) -> bool:
    pipe.client.sendall(answer[: len(answer) // 2])
    pipe.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def ends_half_way(pipe: Pipe, answer: bytes) -> bool:
    pipe.client.sendall(answer[: len(answer) // 2])
    return False


def says_nothing(pipe: Pipe, answer: bytes) -> bool:
    return False


def garbage(pipe: Pipe, answer: bytes) -> bool:
    pipe.client.sendall(os.urandom(4096) + b"\r\n\r\n")
    return False


def pours(before: bytes, drop: bytes) -> Fault:
    """`before`, and then the same again and again, without end."""

    def fault(pipe: Pipe, answer: bytes) -> bool:
        pipe.client.sendall(before)
        while not pipe.proxy.closing.is_set():
            pipe.client.sendall(drop)
        return False

    return fault


def instead(data: bytes, stays: bool = True) -> Fault:
    """Something else, and whether the connection stays."""

    def fault(pipe: Pipe, answer: bytes) -> bool:
        pipe.client.sendall(data)
        return stays

    return fault


def page(status: str, body: str) -> Fault:
    """Ends the connection, as the rest of the service's own answer may be on its way."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}"
    return instead(f"{head}\r\nConnection: close\r\n\r\n{body}".encode(), stays=False)


PAGE = "<!DOCTYPE html><html><body>0</body></html>"
OF_ANY: dict[str, Fault] = {
    "time-out": hangs,
    "slow drip": drips,
    "connection reset half way": resets_half_way,
    "connection closed half way": ends_half_way,
    "connection closed": says_nothing,
    "garbage": garbage,
}
OF_HTTP = OF_ANY | {
    "status 500": page("500 Internal Server Error", PAGE),
    "status 503": page("503 Service Unavailable", PAGE),
    "status 403": page("403 Forbidden", PAGE),
    "a page of something else": page("200 OK", PAGE),
    "endless body": pours(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536),
    "endless head": pours(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
}
OF_REDIS = OF_ANY | {
    "loading": instead(b"-LOADING Redis is loading the dataset in memory\r\n"),
    "not a number": instead(b":one\r\n"),
    "negative": instead(b":-1\r\n"),
    "null": instead(b"$-1\r\n"),
    "text": instead(b"$2\r\n12\r\n"),
    "endless text": pours(b"$999999999\r\n", b"0" * 65536),
    "lists in lists": instead(b"*1\r\n" * 100_000),
}
