"""How each kind of fault is brought about, where containers drain."""

from __future__ import annotations

import random
from collections.abc import Mapping

from tests.chaos import faults
from tests.chaos.drains.scene import NAMES
from tests.chaos.drains.stage import DrainStage
from tests.chaos.driver import SPARE_S, Driver
from tests.chaos.excuses import busy
from tests.chaos.faults import Doing, Doings
from tests.chaos.plan import Planned


def content(stage: DrainStage, planned: Planned, rng: random.Random) -> Doing:
    stage.say(planned.how["content"])
    yield
    stage.say("")


def probe(stage: DrainStage, planned: Planned, rng: random.Random) -> Doing:
    stage.hang(True)
    yield
    stage.hang(False)


DOINGS: Mapping[str, Doings] = {
    "agent": (faults.agent, NAMES),
    "clock": (faults.clock, ()),
    "engine": (faults.engine, NAMES),
    "link": (faults.link, NAMES),
    "containers": (faults.containers, NAMES),
    "demand": (faults.demand, ()),
    "content": (content, ()),
    "probe": (probe, ()),
}


class DrainDriver(Driver):
    """One run."""

    doings = DOINGS

    def _well(self) -> bool:
        """Those that drain and hold no place run beyond the cap."""
        counts = self.stage.witness.counts()
        low = any(counts[part.name] < part.least for part in self.scene.parts)
        return self.stage.witness.known and not low and sum(counts.values()) >= self.scene.cap

    def _recover(self, calm: float) -> None:
        """Goes on as soon as all is well, as drains may take all the time there is."""
        self.stage.queues.hold()
        self.history.add("calm", t=calm)
        self._weigh(calm)
        self._until(self._well, self.scene.recovers_s * busy(self.history.so_far(), calm) + SPARE_S)
        self._weigh()
        self.stage.queues.let_go()
