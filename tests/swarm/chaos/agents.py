"""The agents of a run, one beside each manager, and the link of each to its engine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from tests.integration.agents import AgentProcess
from tests.integration.swarms import World
from tests.swarm.chaos.history import CAP, History
from tests.swarm.chaos.spy import Spy

END_S = 30.0


class Member:
    """One agent over all of its lives."""

    def __init__(self, name: str, host: str, world: World, history: History, prefix: str) -> None:
        self.name, self.world, self.history = name, world, history
        path = world.folder / f"{name}.sock"
        self.link = Spy(path, Path(host.removeprefix("unix://")), name, history, prefix)
        self.address = f"unix://{path}"
        self.process: AgentProcess | None = None

    def start(self) -> None:
        """Begins a life, if there is none."""
        if self.process is None:
            self.process = self.world.agent(cap=CAP, DOCKER_HOST=self.address).__enter__()
            self.history.add("agent up", self.name)

    def kill(self) -> None:
        process = self._take()
        if process is not None:
            process.kill()

    def end(self) -> None:
        """Asks it to end."""
        process = self._take()
        if process is None:
            return
        process.process.send_signal(signal.SIGTERM)
        try:
            code = process.process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = -9
        # One that is told to end before it listens is ended by the signal itself.
        if code not in (0, -signal.SIGTERM) and self.link.mode == "good":
            self.history.add("agent died", self.name, number=code)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def look(self) -> None:
        """Notes an end that nobody asked for; a new life begins."""
        if self.process is not None and self.process.process.poll() is not None:
            self._take()
            self.start()

    def close(self) -> None:
        self.thaw()
        self.kill()
        self.link.stop()

    def _signal(self, number: int) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.process.pid, number)

    def _take(self) -> AgentProcess | None:
        """Returns its process, which is to end; None if there is none, or it has ended by itself."""
        process, self.process = self.process, None
        if process is None:
            return None
        code = process.process.poll()
        if code is not None:
            self.history.add("agent died", self.name, number=code)
            return None
        return process
