"""Carries out a plan on a stage with Compose."""

from __future__ import annotations

import time

from tests.chaos.compose.faults import DOINGS
from tests.chaos.compose.scene import NAMES
from tests.chaos.compose.stage import ComposeStage
from tests.chaos.driver import BEGINS_S, Driver


class ComposeDriver(Driver):
    """One run."""

    stage: ComposeStage
    doings = DOINGS

    def _recover(self, calm: float) -> None:
        """How soon all is well is judged when the queues have come to rest."""
        self.stage.queues.hold()
        self.history.add("calm", t=calm)
        self._weigh(calm)

    def _end(self) -> None:
        """The last agent leaves nothing of its own behind, and then Compose removes the rest."""
        stage = self.stage
        stage.queues.hold()
        if stage.agent.is_there:
            stage.agent.end("leave")
        stage.agent.start(on_exit="stop")
        stage.agent.wait_for_a_beat()
        self._until(self._well, BEGINS_S)
        code = stage.agent.end("end")
        self.history.add("end", detail={"code": code, "left": stage.copies()})
        typed = self.history.fault("compose: down", "compose", NAMES, "at the end")
        code = stage.project.run("down")
        typed.end = time.time()
        self.history.add("down", detail={"code": code, "left": stage.left()})
