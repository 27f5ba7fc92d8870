"""The person at the keyboard: a Compose file that changes, and the real Compose."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.chaos.compose import scene
from tests.chaos.history import History
from tests.integration.engines import Missing

WITHIN_S = 300
TRIES = 3
"""A person types a command again that has failed."""


class Project:
    """The project that is scaled. `command`: Compose, as it is called; `host`: the engine."""

    def __init__(
        self,
        command: str,
        host: str,
        folder: Path,
        history: History,
        endpoints: Mapping[str, str],
        flags: Path,
    ) -> None:
        self.command = shlex.split(command)
        if shutil.which(self.command[0]) is None:
            raise Missing(f"{self.command[0]} is not here")
        self.environ = {**os.environ, "DOCKER_HOST": host}
        self.folder = folder
        self.history = history
        self.endpoints = endpoints
        self.flags = flags
        self.typing = threading.Lock()
        self.versions = dict.fromkeys(scene.NAMES, 1)
        self.images = dict.fromkeys(scene.NAMES, "")
        self.more: dict[str, Any] = {}
        """What else is in the file, by section: a service that is not scaled, its volume."""

    def change(self, names: Iterable[str], what: str) -> None:
        """Edits the file: the environment of these services, or their images."""
        for name in names:
            if what == "environment":
                self.versions[name] += 1
            else:
                self.images[name] = "" if self.images[name] else scene.AGAIN

    def change_agent(self) -> None:
        """Edits the file: the agent's own environment."""
        for service in self.more["services"].values():
            said = service["environment"]
            said["VERSION"] = str(int(said.get("VERSION", "0")) + 1)

    def run(self, *words: str) -> int:
        """Types a command, until it works; the exit code of the first try."""
        codes = []
        with self.typing:
            while not codes or (codes[-1] and len(codes) < TRIES):
                codes.append(self._run(*words))
        return codes[0]

    def neighbours(self, *words: str) -> None:
        """Types a command in the folder of the others. Raises Missing."""
        done = self._compose(scene.NEIGHBOURS, scene.neighbours(), *words)
        if done.returncode:
            raise Missing(f"{' '.join(self.command)}: {done.stderr}")

    def _run(self, *words: str) -> int:
        began = time.time()
        services = scene.services(self.endpoints, self.flags, self.versions, self.images)
        done = self._compose(scene.SHOP, services, *words)
        detail = {"words": " ".join(words), "code": done.returncode, "took": round(time.time() - began, 2)}
        if done.returncode:
            detail["said"] = done.stderr[-600:]
        self.history.add("typed", detail=detail)
        return done.returncode

    def _compose(self, name: str, services: dict[str, Any], *words: str) -> subprocess.CompletedProcess[str]:
        file = self.folder / f"{name}.json"
        content: dict[str, Any] = {"version": "3.8", "services": services, "networks": {"back": {}}}
        for section, entries in self.more.items() if name == scene.SHOP else ():
            content[section] = {**content.get(section, {}), **entries}
        file.write_text(json.dumps(content, indent=1))
        return subprocess.run(
            [*self.command, "-p", name, "-f", str(file), *words],
            env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=WITHIN_S,
        )  # fmt: skip
