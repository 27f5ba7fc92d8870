"""All the real parts of a run with frozen containers."""

from __future__ import annotations

import time
from pathlib import Path

from docker import APIClient
from docker.errors import APIError

from tests.chaos.frozen import scene
from tests.chaos.history import History
from tests.chaos.stage import Stage
from tests.chaos.witness import AWAY

COMES_BACK_S = 60.0


class FrozenStage(Stage):
    """As its base, on an engine whose restart frozen containers outlive."""

    engine_options = ("--shutdown-timeout=3", "--live-restore")

    def __init__(self, folder: Path, history: History, seed: int) -> None:
        super().__init__(folder, history, seed)
        self.state = folder / "state"

    def frozen(self, client: APIClient) -> list[str]:
        """The ids of what the agent has frozen."""
        found = client.containers(filters={"label": self.scene.label, "status": "paused"})
        return [c["Id"] for c in found if c["Id"] not in self.witness.held]

    def pause(self, id: str) -> None:
        """Does it as somebody else; the container keeps its place. It may have gone meanwhile, or the agent
        may have been first."""
        began = time.time()
        self.witness.held.add(id)
        try:
            with self.client() as client:
                client.pause(id)
        except AWAY:
            self.witness.held.discard(id)
            return
        self.history.add("by hand", id=id, detail="pause", t=began)

    def unpause(self, id: str) -> None:
        """Does it as somebody else; the container runs from then on. An engine that is away is waited for:
        else it would stay paused, and hold its place, for the rest of the run."""
        deadline, done = time.monotonic() + COMES_BACK_S, False
        while not done and time.monotonic() < deadline:
            self.history.add("by hand", id=id, detail="unpause")
            try:
                with self.client() as client:
                    client.unpause(id)
                done = True
            except APIError as error:
                done = error.status_code in (404, 409) or "not paused" in str(error)
            except AWAY:
                time.sleep(0.2)
        self.witness.held.discard(id)

    def _apps(self) -> list[dict[str, object]]:
        return scene.apps(self.endpoints)

    def _environ(self, socket: Path) -> dict[str, str]:
        return {
            **super()._environ(socket),
            "NSQ_STATS_ENDPOINT": "",
            "MSS_STATE_DIR": str(self.state),
        }
