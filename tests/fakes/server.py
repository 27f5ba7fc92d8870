"""A server as the agent's counterpart: GET /apps/USER, and a websocket at /.

The websocket is wsproto's, which holds the agent to RFC 6455. It can be stopped and started again on its
port, and made to misbehave.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from wsproto import ConnectionType, WSConnection
from wsproto import events as ws
from wsproto.utilities import RemoteProtocolError

from tests.services.service import free_port

APPS = {"maxContainers": 10, "apps": [{"name": "p1", "priority": 1, "maxContainers": 10}]}
Answer = tuple[str, bytes]
"""Status line and body."""


def wait_for(what: Callable[[], Any], within_s: float = 60.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (answer := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return answer


class Link:
    """One websocket that an agent has opened."""

    def __init__(self, sock: socket.socket, request: ws.Request) -> None:
        self.sock = sock
        self.request = request
        self.headers = {name.lower().decode(): value.decode() for name, value in request.extra_headers}
        self.messages: list[Any] = []
        self.pings = 0
        self.closed_as_it_should = False


class FakeServer:
    """Answers every user with `apps`, or whatever `answer(user)` says."""

    def __init__(self, apps: Any = APPS, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.answer: Callable[[str], Answer] = lambda user: (
            "200 OK",
            json.dumps({"name": user, **apps}).encode(),
        )
        self.handshake = b""
        """What is answered in place of a handshake."""
        self.headers: list[tuple[bytes, bytes]] = []
        """What else its answer to a handshake says."""
        self.pongs = True
        self.reads = True
        self.tls = tls
        self.heads: list[str] = []
        self.links: list[Link] = []
        """All there ever were."""
        self.open: list[Link] = []
        self.violations: list[str] = []
        self._threads: list[threading.Thread] = []
        self._socks: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listening: socket.socket | None = None
        # Nobody else is given it while it is stopped.
        self.port = port or free_port()
        self.endpoint = f"127.0.0.1:{self.port}"

    def __enter__(self) -> FakeServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        assert not self.violations

    def start(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._threads = [threading.Thread(target=self._accept, args=(self._listening,), name="fake server")]
        self._threads[0].start()

    def stop(self) -> None:
        """Drops everybody, without a goodbye."""
        if self._listening is None:
            return
        listening, self._listening = self._listening, None
        shut(listening)
        self._threads[0].join()
        listening.close()
        with self._lock:
            socks = list(self._socks)
        for sock in socks:
            shut(sock)
        for thread in self._threads[1:]:
            thread.join()

    def say(self, message: Any) -> None:
        """A message to everybody, as JSON unless it is bytes: then as it is, as a frame's payload."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.raw(frame(data))

    def demand(self, **counts: Any) -> None:
        self.say({"demand": {"tasks": [{"app": a, "demandCount": n} for a, n in counts.items()]}})

    def raw(self, data: bytes) -> None:
        for link in list(self.open):
            with contextlib.suppress(OSError):
                link.sock.sendall(data)

    @property
    def link(self) -> Link:
        """The websocket that is open now, or will be in a moment."""
        return wait_for(lambda: self.open)[-1]  # type: ignore[no-any-return]

    def messages(self, at_least: int = 1) -> list[Any]:
        """What has come over the websocket that is open now, once there is so much of it."""
        link = self.link
        wait_for(lambda: len(link.messages) >= at_least)
        return list(link.messages)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            with self._lock:
                self._socks.add(sock)
            self._threads.append(threading.Thread(target=self._serve, args=(sock,), name="fake server"))
            self._threads[-1].start()

    def _serve(self, plain: socket.socket) -> None:
        sock = plain
        try:
            with contextlib.suppress(OSError):
                sock = self.tls.wrap_socket(plain, server_side=True) if self.tls else plain
                with self._lock:
                    self._socks.add(sock)
                self._answer(sock)
        finally:
            with self._lock:
                self._socks -= {plain, sock}
            sock.close()
            plain.close()

    def _answer(self, sock: socket.socket) -> None:
        while head := read_head(sock):
            self.heads.append(head)
            lines = head.splitlines()
            method, target, _ = lines[0].split(" ")
            if "upgrade: websocket" in head.lower():
                return self._websocket(sock, head)
            status, body = "404 Not Found", b"no such page"
            if method == "GET" and target.startswith("/apps/"):
                status, body = self.answer(unquote(target.removeprefix("/apps/")))
            sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def _websocket(self, sock: socket.socket, head: str) -> None:
        if self.handshake:
            sock.sendall(self.handshake)
            return
        talk = WSConnection(ConnectionType.SERVER)
        try:
            talk.receive_data(head.encode())
            request = next(talk.events())
            assert isinstance(request, ws.Request)
            assert request.target == "/"
            sock.sendall(talk.send(ws.AcceptConnection(extra_headers=self.headers)))
        except (RemoteProtocolError, AssertionError) as error:
            self.violations.append(repr(error))
            return
        link = Link(sock, request)
        self.open.append(link)
        self.links.append(link)  # last, as tests wait for it, and then talk to what is open
        try:
            self._listen(link, talk)
        except RemoteProtocolError as error:
            self.violations.append(str(error))
        finally:
            self.open.remove(link)

    def _listen(self, link: Link, talk: WSConnection) -> None:
        text = ""
        while True:
            if not (data := link.sock.recv(65536)):
                return
            while not self.reads and self._listening is not None:
                time.sleep(0.01)
            talk.receive_data(data)
            for event in talk.events():
                if isinstance(event, ws.TextMessage):
                    text += event.data
                    if event.message_finished:
                        link.messages.append(json.loads(text))
                        text = ""
                elif isinstance(event, ws.Ping):
                    link.pings += 1
                    if self.pongs:
                        link.sock.sendall(talk.send(event.response()))
                elif isinstance(event, ws.CloseConnection):
                    link.closed_as_it_should = event.code == 1000
                    link.sock.sendall(talk.send(event.response()))
                    return


def frame(payload: bytes, kind: int = 1, final: bool = True) -> bytes:
    """A frame as a server sends it (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        size = bytes([length])
    elif length < 2**16:
        size = b"\x7e" + struct.pack("!H", length)
    else:
        size = b"\x7f" + struct.pack("!Q", length)
    return bytes([(0x80 if final else 0) | kind]) + size + payload


def shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def read_head(sock: socket.socket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        if not (more := sock.recv(1)):
            return ""
        head += more
    return head.decode()
