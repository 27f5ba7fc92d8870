"""Messages to systemd from a service of Type=notify: see sd_notify(3)."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping

from microscaling.utils.text import one_line

log = logging.getLogger("mssagent")

SEND_S = 0.5
"""Longest wait for a busy systemd to take a message; the next one follows soon."""


class SystemdNotifier:
    """Sends messages to the socket that systemd has named; without one it does nothing.

    `watchdog_s`: the longest time between two WATCHDOG=1, in seconds; None: there is no watchdog.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self.address = address
        self.watchdog_s = watchdog_s

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> SystemdNotifier:
        """Reads systemd's variables, and removes them from `environ`."""
        # They are for this process alone: a container that had them would speak for it.
        address = environ.pop("NOTIFY_SOCKET", "")
        usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        if address[:1] not in ("", "/", "@"):
            log.warning(
                "NOTIFY_SOCKET: expected a path, or a name that begins with @: systemd gets no messages"
            )
            address = ""
        wanted = address and usec.isdecimal() and int(usec) > 0 and pid in ("", str(os.getpid()))
        return cls(address, int(usec) / 1e6 if wanted else None)

    def send(self, **words: str) -> None:
        """Sends variables such as READY="1". A failure is logged at DEBUG, and the message is lost."""
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
                log.debug("systemd does not get %s: %s", ", ".join(words), error)
