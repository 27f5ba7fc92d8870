"""Writes what the commands print into docs/commands.md: `python -m scripts.transcripts [--check]`.

Runs every line of the page that begins with `$ microscaling` on a real agent, in the order of the page, and
puts its output under it. What differs from run to run (process, times, folder) is replaced by the same words
each time. With --check nothing is written, and the exit code is 1 if the page differs.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "commands.md"
BLOCK = re.compile(r"^```text\n(\$ .*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT = "$ "
APPS = """\
maxContainers: 10
apps:
  - name: mailer
    priority: 1
    minContainers: 1
    maxContainers: 8
    ruleType: SimpleQueue
    metricType: SQL
    config:
      {targetQueueLength: 20, databaseURL: "sqlite:///FOLDER/jobs.db", query: "SELECT count(*) FROM jobs"}
  - name: resizer
    priority: 2
    maxContainers: 8
    ruleType: SimpleQueue
    metricType: SQL
    config:
      {targetQueueLength: 20, databaseURL: "sqlite:///FOLDER/none.db", query: "SELECT count(*) FROM jobs"}
  - name: batch
    priority: 3
    maxContainers: 4
    ruleType: Remainder
"""
NAMES = re.compile(r"\b(mailer|resizer|batch|mialer)\b")
DAY, TIME = "2026-11-29", "07:29:12"
ASKING = ("status", "explain")
OTHERS = re.compile(r"^microscaling: the agent at .*\n|; the agent at .*", re.MULTILINE)
"""Other agents of this user that do not answer just then are named, too."""
PATIENCE_S, SETTLES_S = 60.0, 2.0


class Scene:
    """A real agent at work on these tasks, whose names have a mark: other agents may run as this user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"-{uuid.uuid4().hex[:8]}"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Makes the queue, and starts the agent."""
        with closing(sqlite3.connect(self.folder / "jobs.db")) as db, db:
            db.execute("CREATE TABLE jobs (id)")
            db.executemany("INSERT INTO jobs VALUES (?)", [(i,) for i in range(200)])
        apps = NAMES.sub(rf"\1{self.mark}", APPS.replace("FOLDER", str(self.folder)))
        (self.folder / "apps.yml").write_text(apps)
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "microscaling", "-f", str(self.folder / "apps.yml")],
                cwd=ROOT,
                env=self._environ(),
                stderr=log,
                text=True,
            )

    def _environ(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MSS_")}
        return clean | {
            "MSS_SCHEDULER": "TOY",
            "MSS_MONITOR": "none",
            "MSS_STATE_DIR": f"{self.folder}/state",
        }

    def end(self) -> None:
        """Ends the agent."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def run(self, line: str) -> str:
        """Runs a command of the page. Returns its output as the page has it."""
        words = shlex.split(line.removeprefix(PROMPT))
        words = [NAMES.sub(rf"\1{self.mark}", word).replace("/srv", str(self.folder)) for word in words]
        done = subprocess.run(
            [sys.executable, "-m", "microscaling", *words[1:]], cwd=ROOT, env=self._environ(),
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        out = self._ours(done.stdout) if words[1:2] == ["status"] else done.stdout
        code = f"(exit code {done.returncode})\n" if done.returncode else ""
        return self._alike(out + OTHERS.sub("", done.stderr)) + code

    def _ours(self, out: str) -> str:
        pid = self.process.pid if self.process else 0
        parts = re.split("^(?=microscaling |{)", out, flags=re.MULTILINE)
        return next((part for part in parts if re.search(rf"\b{pid}\b", part)), "")

    def _alike(self, text: str) -> str:
        """The text without all that differs from run to run."""
        # Each column with a name in it is as wide as the longest one, mark included.
        text = re.sub(rf"^TASK {{{len(self.mark)}}}", "TASK", text, flags=re.MULTILINE)
        text = text.replace(self.mark, "").replace(str(self.folder), "/srv")
        text = re.sub(r"process \d+", "process 4711", text)
        text = re.sub(r"\d{4}-\d\d-\d\d([ T])\d\d:\d\d:\d\d", rf"{DAY}\g<1>{TIME}", text)
        text = re.sub(r"\d+(\.\d+)? s ago", "0.2 s ago", text)
        lines = text.splitlines()
        # Only the first decision is the same in each run: the next ones depend on the time.
        decisions = [each for each in lines if each.startswith(f"  {DAY}")]
        lines = (
            [each for each in lines if each not in decisions]
            + ["  ..."] * (len(decisions) > 1)
            + decisions[-1:]
        )
        return "".join(f"{each}\n" for each in lines)


@contextmanager
def scene() -> Iterator[Scene]:
    """A scene, for as long as it is wanted."""
    with tempfile.TemporaryDirectory() as folder:
        made = Scene(Path(folder))
        made.start()
        try:
            deadline = time.monotonic() + PATIENCE_S
            while "8 of 8" not in made.run("$ microscaling explain mailer") and time.monotonic() < deadline:
                time.sleep(0.2)
            yield made
        finally:
            made.end()


def filled(page: str, made: Scene, check: bool) -> str:
    """The page with the outputs as they are now, or as soon as they are those of the page."""

    def block(found: re.Match[str]) -> str:
        parts = re.split(r"^(?=\$ )", found[1], flags=re.MULTILINE)
        return "```text\n" + "".join(map(one, filter(None, parts))) + "```"

    def one(part: str) -> str:
        line, _, shown = part.partition("\n")
        seen = made.run(line)
        # After an order readings and containers need a moment; an order itself is given once.
        deadline = time.monotonic() + (PATIENCE_S if check else SETTLES_S)
        while line.split()[2] in ASKING and seen != shown and time.monotonic() < deadline:
            time.sleep(0.2)
            seen = made.run(line)
        return f"{line}\n{seen}"

    return BLOCK.sub(block, page)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the page, or compares it. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page differs")
    check = parser.parse_args(arguments).check
    there = PAGE.read_text("utf-8")
    with scene() as made:
        wanted = filled(there, made, check)
    if wanted == there:
        return 0
    if check:
        sys.stderr.write("docs/commands.md differs: python -m scripts.transcripts writes it\n")
        return 1
    PAGE.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
