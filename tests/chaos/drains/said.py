"""What containers say of themselves, and what is on its way: independent of what the agent has seen."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from pathlib import Path

from tests.chaos.history import History

EVERY_S = 0.1


class Listener:
    """Reads what the workers write into files of their host names, and the agent's own file of drains, and
    notes both. `state`: the folder that the agent keeps its state in."""

    def __init__(self, said: Path, state: Path, history: History) -> None:
        self.said = said
        self.state = state
        self.history = history
        self.read: dict[str, int] = {}
        """By host name, how many bytes of its file are noted."""
        self.draining: list[str] | None = None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join(10)

    def _run(self) -> None:
        while not self.stopped.wait(EVERY_S):
            # A container writes the machine's uptime, as a shell has no finer clock of its own.
            booted = time.time() - float(Path("/proc/uptime").read_text().split()[0])
            for path in self.said.iterdir():
                self._note_said(path, booted)
            self._note_drains()

    def _note_said(self, path: Path, booted: float) -> None:
        with path.open() as file:
            file.seek(self.read.get(path.name, 0))
            news = file.read()
        whole = news[: news.rfind("\n") + 1]
        self.read[path.name] = self.read.get(path.name, 0) + len(whole)
        for line in whole.splitlines():
            uptime, what = line.split()
            self.history.add("said", id=path.name, detail=what, t=booted + float(uptime))

    def _note_drains(self) -> None:
        """An agent that is killed leaves the file, and the next one goes on with it."""
        found: dict[str, dict[str, object]] = {}
        for path in self.state.rglob("drains-*"):
            if path.suffix != ".new":
                with contextlib.suppress(OSError, ValueError):
                    found |= json.loads(path.read_text())
        draining = sorted(id for id, entry in found.items() if entry.get("since") is not None)
        if draining != self.draining:
            self.draining = draining
            self.history.add("drains", detail=draining)
