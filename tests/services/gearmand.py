"""A real job server of Gearman, and a client of a few lines of its binary protocol (PROTOCOL)."""

from __future__ import annotations

import contextlib
import socket
import struct

from tests.services.service import Service, find, free_port

CAN_DO, GRAB_JOB, WORK_COMPLETE, SUBMIT_JOB_BG, SUBMIT_JOB_HIGH_BG, SUBMIT_JOB_LOW_BG, SUBMIT_JOB_EPOCH = (
    1, 9, 13, 18, 32, 34, 36,
)  # fmt: skip
NO_JOB, JOB_ASSIGN = 10, 11


class Gearmand(Service):
    def command(self) -> list[str]:
        self.url = f"gearman://127.0.0.1:{free_port()}"
        return [find("gearmand"), "-L", "127.0.0.1", "-p", str(self.port), "--log-file=stderr"]

    def ready(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 20):
            return True
        return False

    def client(self) -> GearmanClient:
        return GearmanClient(self.port)


class GearmanClient:
    """One connection, of a client or a worker; the jobs of a worker are given back when it is closed."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.stream = self.socket.makefile("rb")
        self.count = 0

    def __enter__(self) -> GearmanClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.stream.close()
        self.socket.close()

    def send(self, kind: int, *words: str) -> None:
        data = "\0".join(words).encode()
        self.socket.sendall(b"\0REQ" + struct.pack(">II", kind, len(data)) + data)

    def ask(self, kind: int, *words: str) -> tuple[int, list[str]]:
        """The kind and the words of the answer."""
        self.send(kind, *words)
        _, found, size = struct.unpack(">4sII", self.stream.read(12))
        return found, self.stream.read(size).decode().split("\0")

    def submit(self, function: str, count: int, kind: int = SUBMIT_JOB_BG, *more: str) -> None:
        """Puts jobs in, in the background; each has a name of its own, as equal ones are one job."""
        for _ in range(count):
            self.count += 1
            self.ask(kind, function, f"{id(self)}-{self.count}", *more, "job")

    def grab(self, function: str) -> str:
        """Takes a job, as a worker of this function; returns its handle."""
        self.send(CAN_DO, function)
        kind, words = self.ask(GRAB_JOB)
        assert kind == JOB_ASSIGN, words
        return words[0]
