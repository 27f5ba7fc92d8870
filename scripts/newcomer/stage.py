"""A folder with the plugins, in a package of their own or in a copy of microscaling, and agents with them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PLUGINS = Path(__file__).parent / "plugins"
NAME = "newcomer_plugins"
ENTRY_POINTS = """
[microscaling.metrics]
JobsFile = newcomer_plugins.jobs_file:TYPE
Broken = newcomer_plugins.broken:TYPE

[microscaling.rules]
OnePerJob = newcomer_plugins.one_per_job:TYPE
Broken = newcomer_plugins.broken:TYPE
Remainder = newcomer_plugins.one_per_job:TYPE

[microscaling.schedulers]
PAPER = newcomer_plugins.paper:TYPE
BROKEN = newcomer_plugins.broken:TYPE
LACKING = newcomer_plugins.lacking:TYPE
MISNAMED = newcomer_plugins.paper:TYPE
METRIC = newcomer_plugins.jobs_file:TYPE
TOY = newcomer_plugins.paper:TYPE

[microscaling.monitors]
DIARY = newcomer_plugins.note:MONITOR
BROKEN = newcomer_plugins.broken:TYPE

[microscaling.configs]
NOTE = newcomer_plugins.note:CONFIG
BROKEN = newcomer_plugins.broken:TYPE
"""
INSIDE = {"jobs_file.py": "metric", "one_per_job.py": "target", "paper.py": "scheduler"}
"""The place of each file in a copy of microscaling."""
COPIED = ("microscaling", "tests", "scripts", "pyproject.toml", "README.md", "docs")
WITHIN_S = 60.0


class Stage:
    """A folder in which `python -m microscaling` finds the plugins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs = folder / "jobs"
        self.sheets = folder / "sheets"
        self.cwd = ROOT
        self.path = str(folder / "site")

    @classmethod
    def of_package(cls, folder: Path) -> Stage:
        """The plugins in a package of their own: as pip would install it, but only on PYTHONPATH."""
        made = cls(folder)
        site = folder / "site"
        shutil.copytree(PLUGINS, site / NAME, ignore=shutil.ignore_patterns("__pycache__"))
        about = site / f"{NAME}-1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1\n")
        (about / "entry_points.txt").write_text(ENTRY_POINTS)
        return made

    @classmethod
    def of_copy(cls, folder: Path) -> Stage:
        """The metric, the rule and the scheduler as three new files in a copy of microscaling."""
        made = cls(folder)
        made.cwd = folder / "copy"
        made.path = str(made.cwd)
        made.cwd.mkdir()
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, made.cwd / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, made.cwd / name)
        for file, place in INSIDE.items():
            shutil.copy(PLUGINS / file, made.cwd / "microscaling" / place / file)
        return made

    def environ(self, **changed: str) -> dict[str, str]:
        """The environment of an agent that scales one task with the three plugins."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MSS_")}
        plugins = {"MSS_SCHEDULER": "PAPER", "MSS_PAPER_PATH": str(self.sheets), "MSS_MONITOR": "none"}
        config = {"MSS_CONFIG": "ENVVAR", "MSS_CONFIG_DATA": self.config()}
        state = {"MSS_HEALTH_FILE": str(self.folder / "health"), "PYTHONPATH": self.path}
        made = {**clean, **plugins, **config, **state, **changed}
        return {name: value for name, value in made.items() if value}

    def config(self, **changed: Any) -> str:
        """The configuration, as JSON, with these keys of its one app changed."""
        app = {
            "name": "clerk",
            "maxContainers": 5,
            "ruleType": "OnePerJob",
            "metricType": "JobsFile",
            "config": {"jobsPath": str(self.jobs), "spareContainers": 1},
        }
        return json.dumps({"maxContainers": 5, "apps": [{**app, **changed}]})

    def run(self, *arguments: str, **changed: str) -> tuple[int, list[str]]:
        """Runs a program of the package until it ends. Returns its exit code and the lines of its output."""
        done = subprocess.run(
            [sys.executable, "-m", *(arguments or ("microscaling",))],
            cwd=self.cwd,
            env=self.environ(**changed),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=5 * WITHIN_S,
        )
        return done.returncode, done.stdout.splitlines()

    @contextmanager
    def agent(self, *arguments: str, **changed: str) -> Iterator[Callable[[], list[str]]]:
        """Starts an agent, or with `server` the server, and stops it in the end. Yields a function for the
        lines of its log so far."""
        path = self.folder / "log"
        with open(path, "w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "microscaling", *arguments],
                cwd=self.cwd,
                env=self.environ(**changed),
                stderr=log,
            )
        try:
            yield lambda: path.read_text("utf-8").splitlines()
        finally:
            process.terminate()
            try:
                code = process.wait(WITHIN_S)
            finally:
                process.kill()
        assert code == 0, f"the agent ended with exit code {code}: {path.read_text('utf-8')}"


def wait_for(what: str, there: Callable[[], object]) -> None:
    """Returns as soon as `there()` is true. Raises AssertionError, with `what` was expected, if it is not in
    time."""
    until = time.monotonic() + WITHIN_S
    while not there():
        assert time.monotonic() < until, f"waited in vain: {what}"
        time.sleep(0.05)


def text_of(path: Path) -> str:
    """Returns the text of a file; "" if it is not there."""
    return path.read_text("utf-8") if path.exists() else ""
