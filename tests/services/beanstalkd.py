"""A real beanstalkd, and a client of a few lines, as its protocol is text (protocol.txt)."""

from __future__ import annotations

import contextlib
import socket

from tests.services.service import Service, find, free_port


class Beanstalkd(Service):
    def command(self) -> list[str]:
        self.url = f"beanstalkd://127.0.0.1:{free_port()}"
        return [find("beanstalkd"), "-l", "127.0.0.1", "-p", str(self.port)]

    def ready(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 20):
            return True
        return False

    def client(self) -> BeanstalkdClient:
        return BeanstalkdClient(self.port)


class BeanstalkdClient:
    """One connection; jobs that it has reserved are given back when it is closed."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.lines = self.socket.makefile("rb")

    def __enter__(self) -> BeanstalkdClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.lines.close()
        self.socket.close()

    def ask(self, command: str) -> str:
        """The first line of the answer."""
        self.socket.sendall(command.encode() + b"\r\n")
        return self.lines.readline().decode().strip()

    def put(self, count: int, priority: int = 2000, delay: int = 0, ttr: int = 60) -> list[str]:
        """Puts jobs into the tube that is in use; returns their numbers."""
        said = [self.ask(f"put {priority} {delay} {ttr} 3\r\njob") for _ in range(count)]
        assert all(line.startswith("INSERTED") for line in said), said
        return [line.split()[1] for line in said]

    def reserve(self) -> str:
        """Takes a job; returns its number."""
        said = self.ask("reserve-with-timeout 5")
        assert said.startswith("RESERVED"), said
        self.lines.readline()
        return said.split()[1]
