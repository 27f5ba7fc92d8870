"""A network of an engine and its containers in which this process listens, too."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor

CLONE_NEWNET = 0x40000000


class Namespace:
    """A network namespace with a name: it outlives the engine in it, as a machine's network does.

    Needs root and iproute2. Raises what `subprocess` raises.
    """

    def __init__(self) -> None:
        self.name = f"mss-chaos-{uuid.uuid4().hex[:6]}"
        self._ip("netns", "add", self.name)
        self._ip("-n", self.name, "link", "set", "lo", "up")

    @property
    def words(self) -> tuple[str, ...]:
        """The words before a command that is to run in it, and to end with the thread that starts it."""
        return ("nsenter", f"--net=/run/netns/{self.name}", "setpriv", "--pdeathsig", "TERM")

    def listen(self, port: int) -> socket.socket:
        """Returns a socket that listens on all of its addresses; port 0: any that is free."""
        # A socket stays where it was made; the thread that has gone there is never used again.
        with ThreadPoolExecutor(1, "in the namespace") as there:
            return there.submit(self._listen, port).result()

    def remove(self) -> None:
        self._ip("netns", "del", self.name)

    def _listen(self, port: int) -> socket.socket:
        place = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(place, CLONE_NEWNET):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
            return socket.create_server(("0.0.0.0", port), backlog=64)
        finally:
            os.close(place)

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL, capture_output=True)
