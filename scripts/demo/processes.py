"""The demo without a container engine: local processes."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from typing import Any

from microscaling.scheduler.process.backend import ProcessBackend


class Processes:
    """Real processes of this machine, which take their jobs straight out of the table."""

    noun = "processes"
    scheduler = "PROCESS"

    def __init__(self, why: str, database: str, folder: str, seconds_a_job: float) -> None:
        self.prefix = f"demo-{secrets.token_hex(2)}-"
        self.head = f"Local processes ({why})"
        self._database = database
        self._folder = folder
        self._seconds = seconds_a_job

    def app(self, queue: str) -> dict[str, Any]:
        """What the configuration says of a task's processes."""
        worker = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")
        arguments = [self._database, queue, str(self._seconds), str(os.getpid())]
        words = [sys.executable, "-E", "-S", worker, *arguments]
        return {"command": shlex.join(words)}

    def left(self) -> list[str]:
        """Processes of the demo that are still there."""
        backend = ProcessBackend(self._folder)
        found = [seen.id[:12] for seen in backend.list()]
        backend.close()
        return found

    def close(self) -> None:
        """Leaves nothing: the folder goes with all that is in it."""
