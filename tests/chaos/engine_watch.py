"""What is wrong with Debian's engine (20.10.24) itself, mended so that a run can go on, and counted.

It can dead-lock on a single container (moby#46661): it is restarted. And one that was killed, or stopped
at a bad moment, can leave the file system of a container mounted, and then never remove that container.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from docker.errors import APIError, NotFound

from tests.chaos.witness import AWAY
from tests.integration import engines

LOOK_EVERY_S = 2.0
DEADLOCK_S = 10
STUCK = re.compile(rb"unlinkat (/[^ :]*/merged): device or resource busy")


class EngineWatch:
    """Asks now and then about all containers with a label, and calls for help if there is no answer for 10 s.

    `trouble()`: how often the engine has been in trouble of the run's making, None if it is just now; then
    it says nothing of a dead-lock. `engine_log`: where the engine says what it cannot remove.
    """

    def __init__(
        self,
        host: str,
        label: str,
        engine_log: Path,
        trouble: Callable[[], int | None],
        help: Callable[[], None],
    ) -> None:
        self.host = host
        self.label = label
        self.engine_log = engine_log
        self.read = 0
        self.unmounted: set[str] = set()
        self.trouble = trouble
        self.help = help
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name="dead-lock watch", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join(DEADLOCK_S * 3)

    def _run(self) -> None:
        while not self.stopped.wait(LOOK_EVERY_S):
            self._unmount()
            trouble = self.trouble()
            if trouble is None or not self._hangs() or self.stopped.is_set():
                continue
            if self.trouble() == trouble:
                self.help()

    def _unmount(self) -> None:
        """The file systems that the engine says are in the way, as an administrator would."""
        with self.engine_log.open("rb") as log:
            log.seek(self.read)
            told = log.read()
        self.read += len(told)
        for path in {found.decode() for found in STUCK.findall(told)} - self.unmounted:
            subprocess.run(["umount", "-l", path], check=False, capture_output=True, timeout=10)
            self.unmounted.add(path)

    def _hangs(self) -> bool:
        try:
            client = engines.connect(self.host, timeout_s=DEADLOCK_S)
        except engines.Missing:
            return True  # it neither refuses nor answers, or has died
        try:
            for container in client.containers(all=True, filters={"label": self.label}):
                with contextlib.suppress(NotFound, APIError):
                    client.inspect_container(container["Id"])
        except AWAY:
            return True
        finally:
            client.close()
        return False
