"""A real HTTP server on a free port that answers as well, or as badly, as a test wants."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from urllib.parse import urlsplit

DRIPS = 300
"""A server that drips goes on for so many drips, then gives a good answer after all."""
DRIP_S = 0.05


class Server:
    """Counts what it is asked. `behave(server, sock)` answers one request, and returns whether the
    connection stays open; it can be replaced at any time."""

    def __init__(self, behave, tls: ssl.SSLContext | None = None) -> None:
        self.behave = behave
        self.tls = tls
        self.heads: list[bytes] = []
        self.connections = 0
        self.closing = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.open: set[socket.socket] = set()
        self.threads = [threading.Thread(target=self._accept, name="faulty server")]

    def __enter__(self) -> Server:
        self.threads[0].start()
        return self

    def __exit__(self, *_) -> None:
        self.closing.set()
        shut(self.socket)
        self.threads[0].join()
        for sock in list(self.open):
            shut(sock)
        for thread in self.threads[1:]:
            thread.join()

    def __len__(self) -> int:
        return len(self.heads)

    def url(self, path: str = "/", scheme: str = "http", user: str = "") -> str:
        return f"{scheme}://{user}{self.endpoint}{path}"

    def paths(self) -> list[str]:
        return [urlsplit(head.split()[1].decode()).path for head in self.heads]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return self.socket.close()
            self.connections += 1
            self.open.add(sock)
            self.threads.append(threading.Thread(target=self._serve, args=(sock,), name="faulty server"))
            self.threads[-1].start()

    def _serve(self, plain: socket.socket) -> None:
        sock = plain
        with contextlib.suppress(OSError):  # what a client does that gives up
            if self.tls:
                sock = self.tls.wrap_socket(plain, server_side=True)
                self.open.add(sock)
            while (head := read_head(sock)) and not self.closing.is_set():
                self.heads.append(head)
                if not self.behave(self, sock):
                    break
        sock.close()
        plain.close()
        self.open -= {plain, sock}  # last, as tests wait for it


def shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def read_head(sock: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        if not (more := sock.recv(4096)):
            return b""
        head += more
    return head


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answers(body: bytes, status: str = "200 OK", *headers: str):
    def behave(server: Server, sock: socket.socket) -> bool:
        sock.sendall(response(body, status, *headers))
        return True

    return behave


def hangs(server: Server, sock: socket.socket) -> bool:
    """Says nothing for as long as the server is up."""
    server.closing.wait()
    return False


def drips(before: bytes, drop: bytes, after: bytes):
    """`before`, then `drop` again and again, then `after`, which ends a valid answer."""

    def behave(server: Server, sock: socket.socket) -> bool:
        sock.sendall(before)
        for _ in range(DRIPS):
            if server.closing.wait(DRIP_S):
                return False
            sock.sendall(drop)
        sock.sendall(after)
        return False

    return behave


def pours(before: bytes, drop: bytes):
    """`before`, then `drop` as fast as it is taken, without end."""

    def behave(server: Server, sock: socket.socket) -> bool:
        sock.sendall(before)
        while not server.closing.is_set():
            sock.sendall(drop)
        return False

    return behave


def breaks_off(before: bytes, reset: bool = False):
    """`before`, and then the connection is gone."""

    def behave(server: Server, sock: socket.socket) -> bool:
        sock.sendall(before)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return behave


def faults(good: bytes) -> dict[str, object]:
    """Everything that can happen to the answer `good`, by name."""
    head = b"HTTP/1.1 200 OK\r\n"
    sized = head + b"Content-Length: %d\r\n\r\n" % (len(good) + DRIPS)
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
    return {
        "hangs": hangs,
        "drips its head": drips(head, b"X: y\r\n", b"Content-Length: %d\r\n\r\n%b" % (len(good), good)),
        "drips one header": drips(head + b"X: ", b"y", b"\r\nContent-Length: 2\r\n\r\n{}"),
        "drips continues": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n", response(good)),
        "drips its body": drips(sized, b" ", good),
        "drips chunks": drips(chunked, b"1\r\n \r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(good), good)),
        "drips its trailer": drips(chunked + b"%x\r\n%b\r\n0\r\n" % (len(good), good), b"X: y\r\n", b"\r\n"),
        "status 500": answers(good, "500 Internal Server Error"),
        "status 404": answers(good, "404 Not Found"),
        "status 204": answers(b"", "204 No Content"),
        "redirect": answers(good, "302 Found", "Location: /elsewhere"),
        "compressed": answers(good, "200 OK", "Content-Encoding: gzip"),
        "reset half way": breaks_off(sized + good[:2], reset=True),
        "ends half way": breaks_off(sized + good[:2]),
        "ends half way through a chunk": breaks_off(chunked + b"ff\r\n" + good[:2]),
        "ends after half its head": breaks_off(b"HTTP/1.1 200 OK\r\nX: "),
        "says nothing": breaks_off(b""),
        "not HTTP": breaks_off(b"\x00\x16\x03\xff\r\n\r\n"),
        "bad chunk": breaks_off(chunked + b"zz\r\n"),
        "endless body": pours(head + b"\r\n", b" " * 65536),
        "endless size of a chunk": pours(chunked, b"0" * 65536),
        "endless header": pours(head + b"X: ", b"y" * 65536),
        "endless headers": pours(head, b"X: y\r\n" * 1000),
    }
