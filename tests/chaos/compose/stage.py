"""All the real parts of a run with Compose."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from docker import APIClient
from docker.errors import APIError
from requests.exceptions import RequestException

from microscaling.clients.docker.compose import COPY_OF, PROJECT
from tests.chaos.compose import own, scene
from tests.chaos.compose.namespace import Namespace
from tests.chaos.compose.project import Project
from tests.chaos.history import History
from tests.chaos.life import Agent
from tests.chaos.source import Source
from tests.chaos.stage import Stage
from tests.chaos.witness import AWAY
from tests.integration.agents import ROOT


class ComposeStage(Stage):
    """As its base, with a project that Compose has brought up, and neighbours. `command`: Compose."""

    networks = True
    clocked = False

    def __init__(self, folder: Path, history: History, seed: int, command: str) -> None:
        super().__init__(folder, history, seed)
        self.command = command
        self.state = folder / "state"
        self.project: Project

    def ours(self, client: APIClient, task: str = "", copies: bool = False) -> list[str]:
        """The ids of what runs, of one task or of all. `copies`: only those."""
        return [
            one["Id"]
            for one in client.containers(filters={"label": self.scene.label})
            if (found := self.scene.task_of(one["Labels"]))
            and task in ("", found)
            and (COPY_OF in one["Labels"] or not copies)
        ]

    def end_program(self, id: str) -> None:
        """Its first process is killed on the machine, as for want of memory: to Compose and to the agent,
        `docker kill` is a stop, after which the service rests."""
        with contextlib.suppress(*AWAY), self.client() as client:
            pid = client.inspect_container(id)["State"]["Pid"]
            if pid:
                os.kill(pid, signal.SIGKILL)

    def left(self) -> list[str]:
        """All that is there of the project: containers in any state, and networks."""
        of_project = {"label": f"{PROJECT}={scene.SHOP}"}
        try:
            with self.client() as client:
                containers = client.containers(all=True, filters=of_project)
                networks = client.networks(filters=of_project)
        except (APIError, RequestException) as error:
            return [f"unknown: {error}"]
        found = [f"{one['Names'][0]} {one['Id'][:12]} ({one['State']})" for one in containers]
        return found + [f"network {one['Name']}" for one in networks]

    def copies(self) -> list[str]:
        """The names of all copies, in any state."""
        with self.client() as client:
            return [one["Names"][0] for one in client.containers(all=True, filters={"label": COPY_OF})]

    def _settle_in(self) -> None:
        with self.client() as client:
            for image in {part.image for part in scene.PARTS}:
                client.tag(image, image, scene.AGAIN.lstrip(":"), force=True)
        self.project = Project(
            self.command, self.engine.host, self.folder, self.history, self.endpoints, self.flags
        )
        self.project.neighbours("up", "-d", "--scale=alpha=2")
        self._first_up()

    def lose_state(self) -> None:
        """What the agent has kept is gone."""
        shutil.rmtree(self.state, ignore_errors=True)

    def _first_up(self) -> None:
        self.project.run("up", "-d")

    def _restore(self) -> None:
        self.project.run("up", "-d")

    def _apps(self) -> list[dict[str, object]]:
        return []

    def _environ(self, socket: Path) -> dict[str, str]:
        return {
            **super()._environ(socket),
            "MSS_SCHEDULER": "COMPOSE",
            "MSS_CONFIG": "",
            "MSS_CONFIG_FILE": "",
            "MSS_MAX_CONTAINERS": str(scene.CAP),
            "MSS_COMPOSE_PROJECT": scene.SHOP,
            "MSS_STATE_DIR": str(self.state),
        }


class OwnStage(ComposeStage):
    """As its base, with the agent as a service of the project, which asks for the queues from within."""

    def __init__(self, folder: Path, history: History, seed: int, command: str) -> None:
        super().__init__(folder, history, seed, command)
        self.namespace: Namespace

    def lose_state(self) -> None:
        kept = self.engine.folder / "data/volumes" / f"{scene.SHOP}_{own.STATE}" / "_data"
        for path in kept.glob("*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _set_up(self) -> None:
        self.namespace = Namespace()
        self.exits.callback(self.namespace.remove)
        self.engine.network = self.namespace.words
        super()._set_up()

    def _source(self, name: str, on_served: Callable[[int], None]) -> Source:
        return Source(name, on_served, scene.GATEWAY, self.namespace.listen)

    def _first_up(self) -> None:
        own.make_image(ROOT, self.engine.host)
        self.project.more = own.service(self.flags / "engine.sock")
        self.project.run("up", "-d", scene.PLAIN, *scene.NAMES)

    def _agent(self, socket: Path) -> Agent:
        return own.OwnService(self.folder, self.history, self.project, self.engine.host)
