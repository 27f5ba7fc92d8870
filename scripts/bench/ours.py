"""Our agent, as users run it, on a real queue."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

from scripts.bench.engine import IMAGE, MINE

ROOT = Path(__file__).resolve().parents[2]
BEAT_S = 0.5
STARTS_WITHIN_S = 60.0
LOOKED = re.compile(r":(\d\d\.\d+): (\S+: \d+ -> |\d+ tasks: )")
"""A line of the log that tells of a beat."""


class Jumps(Protocol):
    """A queue, from outside."""

    def put(self, items: int) -> None:
        """From now on there are so many."""


class Queue:
    """A length in a table, which the SQL metric reads."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "queue.db"
        with sqlite3.connect(self.path) as db:
            db.execute("create table waiting (items integer)")
            db.execute("insert into waiting values (0)")

    def put(self, items: int) -> None:
        with sqlite3.connect(self.path) as db:
            db.execute("update waiting set items = ?", (items,))

    def config(self) -> dict[str, Any]:
        url = f"sqlite:///{self.path}"
        return {"databaseURL": url, "query": "select items from waiting", "targetQueueLength": 10}


def queue_app(name: str, queue: Queue, most: int, **config: Any) -> dict[str, Any]:
    return {
        "name": f"{MINE}-{name}",
        "priority": 1,
        "minContainers": 1,
        "maxContainers": most,
        "ruleType": "Queue",
        "metricType": "SQL",
        "config": {"image": IMAGE, **queue.config(), **config},
    }


def rest_app(name: str, most: int, **config: Any) -> dict[str, Any]:
    return {
        "name": f"{MINE}-{name}",
        "priority": 2,
        "minContainers": 1,
        "maxContainers": most,
        "config": {"image": IMAGE, **config},
    }


@functools.cache
def compiled(tree: Path) -> Path:
    """The same tree, with the agent compiled to bytecode, as whoever installs a package has it."""
    # Where nothing is compiled, the compiler's own memory counts, and a start takes seconds.
    command = [sys.executable, "-m", "compileall", "-q", str(tree / "microscaling")]
    subprocess.run(command, env=environment(), check=True)
    return tree


def environment() -> dict[str, str]:
    """This process's variables, without the agent's and what keeps Python from using bytecode."""
    left_out = ("MSS_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


class OurAgent:
    """`python -m microscaling` in a process of its own; leaving the block stops it. `tree`: the sources that
    it runs."""

    def __init__(self, apps: list[dict[str, Any]], cap: int, tree: Path = ROOT, **environ: str) -> None:
        self.tree = compiled(tree)
        self.folder = tempfile.TemporaryDirectory(prefix="mss-bench-")
        config = Path(self.folder.name, "apps.json")
        config.write_text(json.dumps({"maxContainers": cap, "apps": apps}))
        self.environ = {
            **environment(),
            "MSS_CONFIG": "FILE",
            "MSS_CONFIG_FILE": str(config),
            "MSS_PULL_IMAGES": "false",
            "MSS_MONITOR": "none",
            "MSS_PASS_ENV": "none",
            **environ,
        }
        self.log = Path(self.folder.name, "log")

    def __enter__(self) -> OurAgent:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "microscaling"], cwd=self.tree, env=self.environ, stderr=log
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()

    def wait_for_beat(self, share: float) -> None:
        """Until this share of a beat has gone by since the agent has looked at its queue: how long a
        change waits to be seen is not left to chance."""
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not (looked := LOOKED.search(self.log.read_text())):
            assert time.monotonic() < deadline, f"it has not looked yet:\n{self.log.read_text()}"
            time.sleep(0.05)
        time.sleep((float(looked[1]) + share * BEAT_S - time.time()) % BEAT_S)

    def cpu_s(self) -> float:
        """Seconds of processor that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        """Megabytes of memory that are its own or shared with nobody."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024
