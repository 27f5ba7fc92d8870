"""A real NATS with JetStream and its monitoring port; a client of a few lines, as its protocol is text."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from tests.services.service import CACHE, Service, find, free_port


class NATS(Service):
    listens = "Server is ready"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.inbox = 0

    def command(self) -> list[str]:
        self.client_port = free_port()
        self.url = f"http://127.0.0.1:{free_port()}"
        options = f"-a 127.0.0.1 -p {self.client_port} -m {self.port} -js -sd {self.folder}/data"
        return [find("nats-server", CACHE / "bin"), *options.split()]

    def request(self, subject: str, payload: object = "") -> dict[str, object]:
        """One request and its answer (NATS' "Client Protocol"); for JetStream's API both are JSON."""
        body = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
        self.inbox += 1
        inbox = f"inbox.{self.inbox}"
        with socket.create_connection(("127.0.0.1", self.client_port), timeout=20) as sock:
            sock.sendall(f'CONNECT {{"verbose":false}}\r\nSUB {inbox} 1\r\n'.encode())
            sock.sendall(f"PUB {subject} {inbox} {len(body)}\r\n".encode() + body + b"\r\n")
            lines = sock.makefile("rb")
            while not (line := lines.readline()).startswith(b"MSG "):
                assert line[:4] not in (b"", b"-ERR"), line
                if line.startswith(b"PING"):
                    sock.sendall(b"PONG\r\n")
            answer = json.loads(lines.read(int(line.split()[-1])))
        assert "error" not in answer, answer
        return dict(answer)

    def queue(self, stream: str, consumer: str, waiting: int) -> None:
        """A stream with one consumer, for which so many messages wait."""
        config = {"name": stream, "subjects": [stream], "storage": "memory"}
        self.request(f"$JS.API.STREAM.CREATE.{stream}", config)
        wanted = {"durable_name": consumer, "ack_policy": "explicit"}
        asked = {"stream_name": stream, "config": wanted}
        self.request(f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{consumer}", asked)
        for _ in range(waiting):
            self.request(stream, "job")
