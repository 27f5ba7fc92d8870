"""A real NATS with JetStream and its monitoring port, alone or as a cluster of three; a client of a few
lines, as its protocol is text."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.services.service import CACHE, Service, ask, find, free_port, wait_for


class NATS(Service):
    listens = "Server is ready"

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self.options = options
        self.inbox = 0

    def command(self) -> list[str]:
        self.client_port = free_port()
        self.url = f"http://127.0.0.1:{free_port()}"
        options = f"-a 127.0.0.1 -p {self.client_port} -m {self.port} -js -sd {self.folder}/data"
        return [find("nats-server", CACHE / "bin"), *options.split(), *self.options]

    def request(self, subject: str, payload: object = "") -> dict[str, Any]:
        """One request and its answer (NATS' "Client Protocol"); for JetStream's API both are JSON."""
        [(_, body)] = self.requests(subject, payload, 1)
        answer = json.loads(body)
        assert "error" not in answer, answer
        return dict(answer)

    def requests(self, subject: str, payload: object, count: int) -> list[tuple[str, str]]:
        """One request and so many answers to it: where each has its own answer sent to, and its text."""
        body = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
        self.inbox += 1
        inbox = f"inbox.{id(self)}.{self.inbox}"
        with self._connected() as sock, sock.makefile("rb") as lines:
            sock.sendall(f"SUB {inbox} 1\r\n".encode())
            sock.sendall(f"PUB {subject} {inbox} {len(body)}\r\n".encode() + body + b"\r\n")
            return [self._message(sock, lines) for _ in range(count)]

    def publish(self, subject: str, text: str = "") -> None:
        with self._connected() as sock, sock.makefile("rb") as lines:
            sock.sendall(f"PUB {subject} {len(text)}\r\n{text}\r\nPING\r\n".encode())
            while not lines.readline().startswith(b"PONG"):
                pass

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.client_port), timeout=60) as sock:
            sock.sendall(b'CONNECT {"verbose":false}\r\n')
            yield sock

    def _message(self, sock: socket.socket, lines: Any) -> tuple[str, str]:
        while not (line := lines.readline()).startswith((b"MSG ", b"HMSG ")):
            assert line[:4] not in (b"", b"-ERR"), line
            if line.startswith(b"PING"):
                sock.sendall(b"PONG\r\n")
        words = line.decode().split()
        text = lines.read(int(words[-1]) + 2).decode().strip()
        return words[3] if len(words) > 4 else "", text

    def stream(self, name: str, **config: Any) -> None:
        wanted = {"name": name, "subjects": [name], "storage": "memory", **config}
        self.request(f"$JS.API.STREAM.CREATE.{name}", wanted)

    def consumer(self, stream: str, name: str, **config: Any) -> None:
        wanted = {"durable_name": name, "ack_policy": "explicit", **config}
        asked = {"stream_name": stream, "config": wanted}
        self.request(f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{name}", asked)

    def put(self, stream: str, count: int) -> None:
        for _ in range(count):
            self.request(stream, "job")

    def take(self, stream: str, consumer: str, count: int) -> list[str]:
        """Fetches messages as a worker does; returns where to each is acknowledged."""
        asked = {"batch": count, "no_wait": True}
        got = self.requests(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", asked, count)
        return [reply for reply, _ in got]

    def queue(self, stream: str, consumer: str, waiting: int) -> None:
        """A stream with one consumer, for which so many messages wait."""
        self.stream(stream)
        self.consumer(stream, consumer)
        self.put(stream, waiting)

    def jsz(self, query: str = "") -> Any:
        return json.loads(ask(f"{self.url}/jsz{query}"))


@contextmanager
def cluster(folder: Path) -> Iterator[list[NATS]]:
    """Three servers that have found each other, and have a leader."""
    ports = [free_port() for _ in range(3)]
    routes = ",".join(f"nats://127.0.0.1:{port}" for port in ports)
    with ExitStack() as stack:
        servers = []
        for i, port in enumerate(ports):
            (home := folder / f"n{i}").mkdir()
            at = ("--cluster_name", "C", "--cluster", f"nats://127.0.0.1:{port}", "--routes", routes)
            servers.append(stack.enter_context(NATS(home, "-n", f"n{i}", *at)))
        for server in servers:
            wait_for(lambda server=server: server.jsz().get("meta_cluster", {}).get("leader"))
        yield servers
