"""All the real parts of a run with drains."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.drains import scene
from tests.chaos.drains.said import Listener
from tests.chaos.history import History
from tests.chaos.stage import Stage

EXIT_S = 40
"""Longer than any drain: the end of the agent cuts none short."""


class DrainStage(Stage):
    """As its base, with workers that have jobs, on an engine whose restart they outlive."""

    engine_options = ("--shutdown-timeout=3", "--live-restore")

    def __init__(self, folder: Path, history: History, seed: int) -> None:
        super().__init__(folder, history, seed)
        self.state = folder / "state"

    def say(self, content: str) -> None:
        """From now on busy files have this in them."""
        new = self.flags / "content.new"
        new.write_text(content)
        new.replace(self.flags / "content")

    def hang(self, hanging: bool) -> None:
        """From now on probes hang."""
        if hanging:
            (self.flags / "hang").touch()
        else:
            (self.flags / "hang").unlink(missing_ok=True)

    def _settle_in(self) -> None:
        (self.flags / "worker.sh").write_text(scene.WORKER)
        self.say("")
        said = self.flags / "said"
        said.mkdir()
        listener = Listener(said, self.state, self.history)
        self.exits.callback(listener.stop)
        listener.start()

    def _apps(self) -> list[dict[str, object]]:
        return scene.apps(self.endpoints, self.flags)

    def _environ(self, socket: Path) -> dict[str, str]:
        return {
            **super()._environ(socket),
            "MSS_STATE_DIR": str(self.state),
            "MSS_EXIT_TIMEOUT_S": str(EXIT_S),
        }
