"""A terminal in a container, at which a script types."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

PROMPT = re.compile(r"<walk (\d+) (\d+)> $")
"""The exit code of the last command, and the number of the next: bash may show a prompt more than once."""
SIZE = (50, 200)
"""Lines and columns."""
CTRL_C = "\x03"


class Failed(Exception):
    """The page does not lead where it says."""


class Terminal:
    """An interactive bash of a container. `screen` is all that it has shown."""

    def __init__(self, container: str, folder: str) -> None:
        self.screen = ""
        self._read = 0
        self._number = 0
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        variables = ["-e", r"PS1=<walk $? \#> ", "-e", "TERM=dumb"]
        shell = ["bash", "--norc", "--noprofile"]
        self._process = subprocess.Popen(
            ["docker", "exec", "-it", "-w", folder, *variables, container, *shell],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.returns(60)

    def type(self, command: str) -> None:
        """Types a line; what was shown before does not count as its output."""
        self._read = len(self.screen)
        os.write(self._master, (command + "\n").encode())

    def returns(self, seconds: float) -> int:
        """Waits for the prompt. Returns the exit code of the command before it. Raises Failed."""
        found = self._wait(PROMPT, seconds)
        self._number = int(found[2])
        return int(found[1])

    def shows(self, pattern: str, seconds: float) -> None:
        """Waits until the command has shown this. Raises Failed if it ends, or time is up, before."""
        self._wait(re.compile(pattern), seconds)

    def interrupt(self, seconds: float) -> str:
        """Presses Ctrl-C, and waits for the prompt. Returns what was shown since."""
        begin = len(self.screen)
        os.write(self._master, CTRL_C.encode())
        self.returns(seconds)
        return self.screen[begin:]

    def close(self) -> None:
        """Ends the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def _wait(self, pattern: re.Pattern[str], seconds: float) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while True:
            shown = self.screen[self._read :]
            prompt = PROMPT.search(shown)
            returned = prompt is not None and int(prompt[2]) > self._number
            found = pattern.search(shown)
            if found and (pattern is not PROMPT or returned):
                return found
            if returned:
                raise Failed(f"it ended without showing {pattern.pattern!r}:\n{shown}")
            if time.monotonic() > deadline:
                raise Failed(f"no {pattern.pattern!r} within {seconds:g} s:\n{shown}")
            if select.select([self._master], [], [], 0.2)[0]:
                self.screen += self._more()

    def _more(self) -> str:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the shell has ended
            data = b""
        if not data:
            raise Failed(f"the terminal has closed:\n{self.screen[self._read :]}")
        return data.decode(errors="replace").replace("\r", "")
