"""The example of docs/schedulers.md without a container engine works to the last job, with real processes
and SQLite.

`make jobs` does it 20 times with 100 jobs each.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.pages import DOCS, ROOT, section

ROUNDS = int(os.environ.get("MSS_TEST_JOBS_ROUNDS", "1"))
JOBS = int(os.environ.get("MSS_TEST_JOBS", "40"))
PATIENCE_S = 180.0

MAILER = """
import os, signal, sqlite3, sys, time
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
db = sqlite3.connect(sys.argv[2], timeout=30, isolation_level=None)
while not stopped:
    db.execute("BEGIN IMMEDIATE")
    job = db.execute("SELECT min(id) FROM jobs WHERE done = 0 AND taken = 0").fetchone()[0]
    db.execute("UPDATE jobs SET taken = 1 WHERE id = ?", (job,))
    db.execute("COMMIT")
    time.sleep(0.1)
    if job is not None:
        db.execute("UPDATE jobs SET done = done + 1 WHERE id = ?", (job,))
"""


def example() -> str:
    """The page's own words."""
    (text,) = re.findall(
        r"```yaml\n(.*?)```", section(DOCS / "schedulers.md", "## Local processes"), re.DOTALL
    )
    return str(text)


class Queue:
    """The table of the example's query."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(
                "CREATE TABLE jobs (id INTEGER PRIMARY KEY, taken INTEGER DEFAULT 0, done INTEGER DEFAULT 0)"
            )

    def put(self, count: int) -> None:
        with self._open() as db:
            db.executemany("INSERT INTO jobs (id) VALUES (?)", [(None,)] * count)

    def left(self) -> int:
        return self._one("SELECT count(*) FROM jobs WHERE done = 0")

    def done_more_than_once(self) -> int:
        return self._one("SELECT count(*) FROM jobs WHERE done > 1")

    def _one(self, query: str) -> int:
        with self._open() as db:
            return int(db.execute(query).fetchone()[0])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30)) as db, db:
            yield db


@contextmanager
def agent(folder: Path, config: str) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "tasks.yaml").write_text(config)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MSS_")}
    environ |= {
        "MSS_SCHEDULER": "PROCESS", "MSS_CONFIG": "FILE", "MSS_CONFIG_FILE": str(folder / "tasks.yaml"),
        "MSS_MONITOR": "none", "MSS_STATE_DIR": str(folder / "state"),
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "microscaling"], cwd=ROOT, env=environ, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(60) == 0, (folder / "log").read_text()


@pytest.mark.parametrize("target", ["as it stands", "10", "1"])
def test_to_the_last_job(target: str, tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="PyYAML is not here: pip install '.[yaml]'")
    (tmp_path / "mailer.py").write_text(MAILER)
    queue = Queue(tmp_path / "jobs.db")
    config = example().replace("python3 mailer.py", f"{sys.executable} {tmp_path / 'mailer.py'}")
    config = config.replace("/var/lib/mail/jobs.db", str(queue.path))
    if target != "as it stands":
        config = re.sub(r"targetQueueLength: \d+", f"targetQueueLength: {target}", config)
    with agent(tmp_path, config) as process:
        for count in (JOBS, *(JOBS + number for number in range(1, ROUNDS)), 1):
            queue.put(count)
            until = time.monotonic() + PATIENCE_S
            while left := queue.left():
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < until, (
                    f"{left} jobs of {count} are left\n" + (tmp_path / "log").read_text()
                )
                time.sleep(0.05)
        until = time.monotonic() + PATIENCE_S
        while not _all_given_back(tmp_path / "log"):
            assert time.monotonic() < until, (
                "an empty queue keeps its workers\n" + (tmp_path / "log").read_text()
            )
            time.sleep(0.05)
    assert queue.done_more_than_once() == 0


def _all_given_back(log: Path) -> bool:
    changes = re.findall(r"mailer: \d+ -> (\d+)", log.read_text())
    return bool(changes) and changes[-1] == "0"
