"""A real nsqd on free ports, if there is one on this machine."""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from tests.services.service import give_up

FOUND = os.environ.get("MSS_TEST_NSQD") or shutil.which("nsqd")
MESSAGE = 2
"""The type of a frame (NSQ, "TCP Protocol Spec")."""


def wait_for(what, within_s=60.0):
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


class Nsqd:
    def __init__(self, folder, *options: str) -> None:
        if not FOUND:
            give_up("no nsqd on the PATH, and MSS_TEST_NSQD does not name one")
        self.folder = folder
        self.options = options
        self.log = folder / "nsqd.log"

    def __enter__(self) -> Nsqd:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command(), stderr=log)
        wait_for(self._listens)
        return self

    def command(self) -> list[str]:
        return [
            FOUND, "-tcp-address=127.0.0.1:0", "-http-address=127.0.0.1:0", f"-data-path={self.folder}",
            *self.options,
        ]  # fmt: skip

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait()

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        found = [re.search(rf"{kind}: listening on (\S+)", self.log.read_text()) for kind in ("HTTP", "TCP")]
        self.endpoint, self.tcp = (one and one[1] for one in found)
        return all(found)

    def post(self, path: str, data: bytes = b"") -> None:
        # urllib, so that what is tested does not test itself; no proxy for what runs here
        with build_opener(ProxyHandler({})).open(f"http://{self.endpoint}{path}", data, 60):
            pass


class Nsqlookupd(Nsqd):
    """With which an nsqd registers."""

    def command(self) -> list[str]:
        program = Path(FOUND).with_name("nsqlookupd")
        if not program.exists():
            give_up("there is no nsqlookupd beside nsqd")
        return [str(program), "-tcp-address=127.0.0.1:0", "-http-address=127.0.0.1:0"]


class Consumer:
    """A consumer of a channel that takes so many messages at once; a few lines of NSQ's protocol."""

    def __init__(self, nsqd: Nsqd, topic: str, channel: str, ready: int) -> None:
        host, _, port = nsqd.tcp.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(f"  V2SUB {topic} {channel}\nRDY {ready}\n".encode())

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *_) -> None:
        self.stream.close()
        self.socket.close()

    def say(self, command: str) -> None:
        self.socket.sendall(command.encode() + b"\n")

    def take(self) -> str:
        """Waits for a message; returns its id."""
        while True:
            size, kind = struct.unpack(">Ii", self.stream.read(8))
            data = self.stream.read(size - 4)
            if kind == MESSAGE:
                return data[10:26].decode()
            if data == b"_heartbeat_":
                self.say("NOP")
