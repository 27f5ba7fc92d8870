"""Projects of a real Docker Compose, with each version of it that is here."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker import APIClient
from docker.errors import NotFound

from microscaling.clients.docker.compose import COPY_OF, NUMBER, PROJECT, SERVICE
from microscaling.scheduler.compose.backend import ComposeBackend
from scripts.test_engines.binaries import COMPOSE_2, COMPOSE_5
from tests.integration import engines
from tests.integration.agents import AgentProcess
from tests.integration.engines import give_up
from tests.integration.podman import OwnPodman
from tests.services.service import CACHE

SLEEPER = "mss-test/sleeper"
USUAL = os.environ.get("MSS_TEST_COMPOSE") or "1.29"
"""The version that all tests run with; `make test-engines` asks for each."""
OTHERS = () if "MSS_TEST_COMPOSE" in os.environ else ("2.40.3", "5.6.0")
"""The versions that some tests run with, too, where they are in the cache."""
BUILT = {"2.40.3": COMPOSE_2, "5.6.0": COMPOSE_5}


@dataclass(frozen=True, slots=True)
class Compose:
    """One version: the command, and the sign between the parts of a container's name."""

    version: str
    command: str
    separator: str


def compose_of(version: str) -> Compose:
    """The Compose of a version. Skips without it: where those that are built are missing, CI does not build
    them either."""
    if version in BUILT:
        if not BUILT[version].is_there:
            pytest.skip(BUILT[version].missing)
        return Compose(version, str(BUILT[version].path), "-")
    return Compose(version, shutil.which("docker-compose") or give_up("docker-compose is not here"), "_")


def podman_compose(podman: OwnPodman) -> Compose:
    """podman-compose, of which `scripts/test-services` installs one version, for a Podman."""
    folder = CACHE / "podman-compose"
    if not (folder / "podman_compose.py").exists():
        give_up("podman-compose is not here: run scripts/test-services")
    path = podman.folder / "podman-compose"
    words = [sys.executable, str(folder / "podman_compose.py"), "--podman-path", str(podman.script())]
    path.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(folder))} exec {shlex.join(words)} "$@"\n')
    path.chmod(0o755)
    return Compose("podman-compose", str(path), "_")


class Project:
    """A project of its own name, with the labels of a task on its service `web`."""

    def __init__(self, engine: APIClient, host: str, folder: Path, compose: Compose) -> None:
        self.engine = engine
        self.host = host
        self.compose = compose
        self.name = f"t{uuid.uuid4().hex[:6]}"
        self.file = folder / "docker-compose.yml"
        self.state = folder / "state"
        self.runtime = Path(tempfile.gettempdir(), f"mss-{self.name}")
        """A short one, for the socket by which a person gives orders to its agents."""
        self.services: dict[str, Any] = {}
        self.networks: dict[str, Any] = {"back": {}, "front": {}}
        (folder / "key").write_text("s3cret")
        (folder / "settings.env").write_text("FROM_FILE=yes\n")

    def web(self, **more: Any) -> None:
        labels = {"microscaling.enable": True, "microscaling.max": "4", **more.pop("labels", {})}
        self.services["web"] = {"image": SLEEPER, "labels": labels, **more}

    def run(self, *command: str) -> str:
        """The output of a command of Compose."""
        content = {"key": {"file": "./key"}}
        text = {"services": self.services, "networks": self.networks, "volumes": {"data": {}},
                "secrets": content, "configs": content}  # fmt: skip
        self.file.write_text(yaml.safe_dump(text))
        done = subprocess.run(
            [self.compose.command, "-p", self.name, "-f", str(self.file), *command],
            env={**os.environ, "DOCKER_HOST": self.host}, cwd=self.file.parent,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def containers(self, running: bool = False) -> dict[str, dict[str, Any]]:
        """By service and number, such as web_1; those of `run` have no number, but their id."""
        found = self.engine.containers(all=not running, filters={"label": f"{PROJECT}={self.name}"})
        return {f"{one['Labels'][SERVICE]}_{one['Labels'].get(NUMBER, one['Id'])}": one for one in found}

    def count(self, service: str = "web") -> int:
        """How many containers of a service run."""
        return sum(one["Labels"][SERVICE] == service for one in self.containers(running=True).values())

    def ids(self) -> set[str]:
        """All containers, in any state."""
        return {one["Id"] for one in self.containers().values()}

    def originals(self) -> set[str]:
        """The containers that Compose has made."""
        return {one["Id"] for one in self.containers().values() if COPY_OF not in one["Labels"]}

    def networks_there(self) -> list[str]:
        return [one["Name"] for one in self.engine.networks(filters={"label": f"{PROJECT}={self.name}"})]

    def name_of(self, name: str) -> str:
        """The name of a container on its engine: of web_1, PROJECT-web-1 or PROJECT_web_1."""
        return f"{self.name}_{name}".replace("_", self.compose.separator)

    def inspected(self, name: str) -> dict[str, Any]:
        return self.engine.inspect_container(self.containers()[name]["Id"])

    def environments(self, variable: str) -> list[str]:
        """What each container that runs has of a variable, as NAME=value. One that goes is left out: an agent
        may remove it between the listing and the look at it."""
        found: list[str] = []
        for one in self.containers(running=True).values():
            with contextlib.suppress(NotFound):
                entries = self.engine.inspect_container(one["Id"])["Config"]["Env"]
                found += [entry for entry in entries if entry.startswith(f"{variable}=")]
        return sorted(found)

    def backend(self) -> ComposeBackend:
        made = ComposeBackend(self.host, projects=self.name)
        made.begin(["web"])
        made.list()
        return made

    def agent(self, cap: int = 10, **environ: str) -> AgentProcess:
        settings = {
            "MSS_SCHEDULER": "COMPOSE", "MSS_CONFIG": "", "MSS_CONFIG_FILE": "", "DOCKER_HOST": self.host,
            "MSS_MAX_CONTAINERS": str(cap), "MSS_COMPOSE_PROJECT": self.name,
            "MSS_STATE_DIR": str(self.state),
            # An order to a task called web, of another test or of a person, is not for them.
            "XDG_RUNTIME_DIR": str(self.runtime),
        }  # fmt: skip
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        return AgentProcess(self.file.parent, [], **settings | environ)

    def close(self) -> None:
        shutil.rmtree(self.runtime, ignore_errors=True)
        engines.remove(self.engine, list(self.containers().values()))
        try:
            self.run("down", "-v")
        except AssertionError as error:
            # Docker 20.10 under load may count an endpoint too many: the network has no container, and stays
            # until the engine is restarted.
            if "has active endpoints" not in str(error) or self.containers():
                raise


@contextlib.contextmanager
def project_on(host: str, version: str | Compose, folder: Path) -> Iterator[Project]:
    """A project for the time of the block, on an engine that has the test images."""
    compose = compose_of(version) if isinstance(version, str) else version
    with engines.client_with_images(host) as client:
        made = Project(client, host, folder, compose)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def project(host: str, tmp_path: Path) -> Iterator[Project]:
    with project_on(host, USUAL, tmp_path) as made:
        yield made


@pytest.fixture
def engine(project: Project) -> APIClient:
    """Without the lock of the others: nothing here has the label by which their agents find containers."""
    return project.engine
