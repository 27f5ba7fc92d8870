"""The quickstart without Docker does what the docs say, line by line, with real workers and a real queue."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.pages import DOCS, ROOT, blocks_of

PATIENCE_S = 180.0


def shapes(page: str) -> list[str]:
    """The lines of the log that a page shows, as patterns for such lines with any numbers."""
    lines = [line for block in blocks_of(DOCS / page, "text") for line in block.text.splitlines()]
    said = [line.partition(": ")[2] for line in lines]
    return [re.sub(r"\d+", r"\\d+", re.escape(text)) for text in said]


class Quickstart:
    """A copy of the example, and its agent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def add(self, kind: str, number: int) -> None:
        subprocess.run([sys.executable, "add.py", kind, str(number)], cwd=self.folder, check=True)

    def start(self) -> None:
        environ = {
            "MSS_SCHEDULER": "PROCESS",
            "MSS_MONITOR": "none",
            "MSS_STATE_DIR": str(self.folder / "state"),
        }
        environ |= {name: value for name, value in os.environ.items() if not name.startswith("MSS_")}
        command = [sys.executable, "-m", "microscaling", "-f", "tasks.yaml"]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env={**environ, "PYTHONPATH": str(ROOT)}, stderr=log
            )

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def says(self, pattern: str) -> None:
        """Waits until the log has it."""
        until = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.log()):
            assert self.process
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < until, f"no {pattern} in\n{self.log()}"
            time.sleep(0.05)

    def left(self) -> int:
        with closing(sqlite3.connect(self.folder / "jobs.db", timeout=30)) as queue:
            return int(queue.execute("SELECT count(*) FROM jobs").fetchone()[0])


@pytest.fixture
def quickstart(tmp_path: Path) -> Iterator[Quickstart]:
    pytest.importorskip("yaml", reason="PyYAML is not here: pip install '.[yaml]'")
    shutil.copytree(ROOT / "examples" / "quickstart", tmp_path / "example")
    made = Quickstart(tmp_path / "example")
    yield made
    if made.process:
        made.process.terminate()
        assert made.process.wait(60) == 0, made.log()


def test_what_the_docs_show_is_what_the_agent_says(quickstart: Quickstart) -> None:
    first, *rest = shapes("quickstart.md")
    quickstart.add("bulk", 300)
    quickstart.start()
    quickstart.says(first)
    quickstart.add("urgent", 30)
    assert rest
    for line in (*rest, *shapes("operations.md")):
        quickstart.says(line)
    quickstart.says(r"urgent: 1 -> 0")


def test_the_queue_is_worked_off_and_no_worker_stays(quickstart: Quickstart) -> None:
    quickstart.add("bulk", 12)
    quickstart.start()
    quickstart.says(r"bulk: 1 -> 0 ")
    assert quickstart.left() == 0


def test_the_worker_has_twelve_lines() -> None:
    code = (ROOT / "examples" / "quickstart" / "worker.py").read_text().splitlines()
    assert len([line for line in code if line and not line.startswith("#")]) == 12
