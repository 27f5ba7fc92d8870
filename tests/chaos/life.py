"""The agent, life after life: started, told to end, frozen, killed; and what its log says."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from tests.chaos.history import History
from tests.integration.agents import AgentProcess

READ_EVERY_S = 0.05
DECIDED = re.compile(r"INFO \S+: ([a-z]+): (\d+) -> (\d+) \((.*)\)$")
BACKS_OFF = re.compile(r"WARNING \S+: ([a-z]+): .*next try in (\d+) s$")
STAYS_UP = re.compile(r"INFO \S+: ([a-z]+): a container stays up")
BEAT = re.compile(r"DEBUG \S+: .*tasks: \d+ change")
ENDS_S = 60
LOOKS_S = 300
"""A process that nothing is left for takes long to import what it needs."""


class Agent:
    """At most one process at a time. Its log goes to files in `folder`, a new one for each life."""

    def __init__(
        self, folder: Path, history: History, apps: list[dict[str, Any]], cap: int, environ: dict[str, str]
    ) -> None:
        self.folder = folder
        self.history = history
        self.apps = apps
        self.cap = cap
        self.environ = environ
        self.process: AgentProcess | None = None
        self.beats = 0
        self.lives = 0
        self.slowest_start = 0.0
        self.most: dict[str, int] = {}
        """Of each thing, the most that it has been seen to use."""
        self.expected = threading.Event()
        """The process is to end."""
        self.stopped = threading.Event()
        self.readers: list[threading.Thread] = []

    @property
    def is_there(self) -> bool:
        """Whether it has been started, and not ended since."""
        return self.process is not None

    @property
    def pid(self) -> int:
        """Its process; 0: there is none."""
        return self.process.process.pid if self.process is not None else 0

    def start(self, on_exit: str = "leave") -> None:
        """Until its first word: how long Python takes to start on a busy machine is not its affair."""
        environ = {**self.environ, "MSS_ON_EXIT": on_exit}
        self.expected.clear()
        self.lives += 1
        life = AgentProcess(self.folder, self.apps, self.cap, **environ)
        life.log_path = self.folder / f"agent-{self.lives:03}.log"
        self.process = life.__enter__()
        began = time.monotonic()
        while not life.log_path.stat().st_size and life.process.poll() is None:
            time.sleep(READ_EVERY_S)
        self.slowest_start = max(self.slowest_start, time.monotonic() - began)
        self.history.add("agent up")
        reader = threading.Thread(target=self._read, args=(life,), name="log of the agent", daemon=True)
        self.readers = [*(r for r in self.readers if r.is_alive()), reader]
        reader.start()

    def kill(self) -> None:
        self._down("kill")
        if self.process is not None:
            self.process.kill()
            self.process = None

    def end(self, how: str) -> int:
        """Tells it to end; the exit code, or -9 if it had to be killed."""
        self._down(how)
        life, self.process = self.process, None
        assert life is not None
        life.process.send_signal(signal.SIGTERM)
        try:
            code = life.process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            life.kill()
            code = -9
        self.history.add("agent ended", detail=code)
        return code

    def wait_for_a_beat(self, within_s: float = LOOKS_S) -> None:
        """Until it has measured: from then on it answers for what runs."""
        before, deadline = self.beats, time.monotonic() + within_s
        while self.beats == before and time.monotonic() < deadline:
            time.sleep(READ_EVERY_S)

    def freeze(self, frozen: bool) -> None:
        if self.process is not None:
            self.process.process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def weigh(self) -> None:
        """Notes what it uses: memory (MB), threads, open files."""
        pid = self.pid
        if not pid:
            return
        with contextlib.suppress(OSError, ValueError, KeyError):
            proc = Path(f"/proc/{pid}")
            status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
            used = {
                "memory (MB)": int(status["VmRSS"].split()[0]) // 1024,
                "threads": int(status["Threads"]),
                "open files": sum(1 for _ in (proc / "fd").iterdir()),
            }
            self.most = {name: max(value, self.most.get(name, 0)) for name, value in used.items()}

    def stop(self) -> None:
        """Leaves no process and no thread behind."""
        if self.process is not None:
            self.freeze(False)
            self.kill()
        self.stopped.set()
        for reader in self.readers:
            reader.join(10)

    def _down(self, how: str) -> None:
        self.expected.set()
        self.history.add("agent down", detail=how)

    def _read(self, life: AgentProcess) -> None:
        """Notes what the log says as it is written, and that the process has ended."""
        with life.log_path.open(errors="replace") as log:
            rest = ""
            while True:
                over = life.process.poll() is not None or self.stopped.is_set()
                *lines, rest = (rest + log.read()).split("\n")
                for line in lines:
                    self._note(line)
                if over:
                    break
                self.stopped.wait(READ_EVERY_S)
        if life is self.process and not self.expected.is_set() and not self.stopped.is_set():
            self.process = None
            self.history.add("agent died", detail=life.process.returncode)

    def _note(self, line: str) -> None:
        if line.strip().startswith("Traceback"):
            self.history.add("traceback", detail=f"in agent-{self.lives:03}.log")
        elif BEAT.match(line):
            self.beats += 1
        elif found := DECIDED.match(line):
            task, before, after, reason = found.groups()
            self.history.add("decided", task, detail=[int(before), int(after), reason])
        elif found := BACKS_OFF.match(line):
            self.history.add("backs off", found[1], detail=int(found[2]))
        elif found := STAYS_UP.match(line):
            self.history.add("stays up", found[1])
