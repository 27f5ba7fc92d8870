"""What systemd wants to be told by a service of Type=notify: see sd_notify(3)."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping

from microscaling.utils.text import one_line

log = logging.getLogger("mssagent")

SEND_S = 0.5
"""systemd may be too busy to take it; the next word comes soon."""


class SystemdNotifier:
    """Sends words to the socket that systemd has named; without one it does nothing.

    `watchdog_s`: within which it wants to hear WATCHDOG=1 again; None: it does not.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self.address = address
        self.watchdog_s = watchdog_s

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> SystemdNotifier:
        """What the environment says, which is taken out of it: it is for this process alone."""
        address = environ.pop("NOTIFY_SOCKET", "")
        usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        if address[:1] not in ("", "/", "@"):
            log.warning(
                "NOTIFY_SOCKET: expected a path, or a name that begins with @: systemd is told nothing"
            )
            address = ""
        wanted = address and usec.isdecimal() and int(usec) > 0 and pid in ("", str(os.getpid()))
        return cls(address, int(usec) / 1e6 if wanted else None)

    def send(self, **words: str) -> None:
        """Such as READY="1". What does not arrive is lost: the service goes on."""
        if not self.address:
            return
        text = "\n".join(f"{name}={one_line(value)}" for name, value in words.items())
        # The abstract namespace of sockets, in the kernel, begins with a null where we write @.
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(SEND_S)
            try:
                sock.sendto(text.encode("utf-8", "replace"), address)
            except OSError as error:
                log.debug("systemd is not told %s: %s", ", ".join(words), error)
