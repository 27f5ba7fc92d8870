"""All the real parts of a run with Compose."""

from __future__ import annotations

from pathlib import Path

from docker import APIClient
from docker.errors import APIError
from requests.exceptions import RequestException

from microscaling.clients.docker.compose import COPY_OF, PROJECT
from tests.chaos.compose import scene
from tests.chaos.compose.project import Project
from tests.chaos.history import History
from tests.chaos.stage import Stage


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
