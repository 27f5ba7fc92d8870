"""The way from the agent to its engine: a Unix socket that a run can cut, stop, slow down."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from tests.metric.faulty import shut

BYTES = 65536
MODES = ("cut", "refuse", "hang", "half-open", "delay", "lose replies")


class Link:
    """Listens at `path` and passes on to the socket at `upstream`. `set` decides what happens:

    - good: everything goes through
    - cut: as good, but what is open at this moment is reset
    - refuse: whatever is open is reset, and so is who comes
    - hang: nothing goes through any more, neither on what is open nor for who comes
    - half-open: nothing goes through on what is open; who comes is served
    - delay: everything takes half a second longer in each direction
    - lose replies: requests get through, the connection is reset when the reply comes

    Whatever has been spoilt is reset when the mode changes.
    """

    def __init__(self, path: Path, upstream: Path) -> None:
        self.path = path
        self.upstream = upstream
        self.mode = "good"
        self.lock = threading.Lock()
        self.open: set[Pipe] = set()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        path.chmod(0o666)  # an agent in a container drops its rights before it connects
        self.socket.listen(128)
        self.thread(self._accept)

    def set(self, mode: str) -> None:
        with self.lock:
            self.mode = mode
            pipes = list(self.open)
        for pipe in pipes:
            if pipe.spoilt or mode in ("cut", "refuse"):
                pipe.cut()
            elif mode in ("hang", "half-open"):
                pipe.mute()

    def stop(self) -> None:
        shut(self.socket)
        self.socket.close()
        self.set("refuse")

    def pipe(self, client: socket.socket) -> Pipe:
        """A connection; called with the lock held."""
        return Pipe(self, client, self.mode)

    def thread(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name="link", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            with self.lock:
                pipe = self.pipe(sock)
                self.open.add(pipe)
            self.thread(pipe.serve)


class Pipe:
    """One connection."""

    def __init__(self, link: Link, client: socket.socket, mode: str) -> None:
        self.link = link
        self.client = client
        self.server = socket.socket(socket.AF_UNIX)
        self.mode = mode
        self.muted = threading.Event()
        self.over = threading.Event()
        if mode == "hang":
            self.muted.set()

    @property
    def spoilt(self) -> bool:
        return self.muted.is_set() or self.mode in ("refuse", "hang", "delay", "lose replies")

    def mute(self) -> None:
        self.muted.set()

    def cut(self) -> None:
        self.over.set()
        shut(self.client)
        shut(self.server)

    def on_request(self, data: bytes) -> None:
        """Hook for a part of what the agent sends, just before it is passed on."""

    def on_answer(self, data: bytes) -> None:
        """Hook for a part of what the engine answers."""

    def serve(self) -> None:
        try:
            with contextlib.suppress(OSError):
                if self.mode != "refuse":
                    self.server.connect(str(self.link.upstream))
                    self.link.thread(self._requests)
                    self._pass_on(self.server, self.client, self.mode == "lose replies")
        finally:
            self.cut()
            with self.link.lock:
                self.link.open.discard(self)
            self.client.close()
            self.server.close()

    def _requests(self) -> None:
        with contextlib.suppress(OSError):
            self._pass_on(self.client, self.server, False)
        self.cut()

    def _pass_on(self, from_: socket.socket, to: socket.socket, lose: bool) -> None:
        while data := from_.recv(BYTES):
            if lose:
                return
            if self.mode == "delay" and self.over.wait(0.5):
                return
            if self.muted.is_set():
                self.over.wait()
                return
            if from_ is self.client:
                self.on_request(data)
            else:
                self.on_answer(data)
            to.sendall(data)
