"""All the real parts of a run with frozen containers."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from docker import APIClient

from tests.chaos.frozen import scene
from tests.chaos.history import History
from tests.chaos.stage import Stage
from tests.chaos.witness import AWAY


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
        """Does it as somebody else; the container runs from then on."""
        self.history.add("by hand", id=id, detail="unpause")
        with contextlib.suppress(*AWAY), self.client() as client:
            client.unpause(id)
        self.witness.held.discard(id)

    def _apps(self) -> list[dict[str, object]]:
        return scene.apps(self.endpoints)

    def _environ(self, socket: Path) -> dict[str, str]:
        return {
            **super()._environ(socket),
            "NSQ_STATS_ENDPOINT": "",
            "MSS_STATE_DIR": str(self.state),
        }
