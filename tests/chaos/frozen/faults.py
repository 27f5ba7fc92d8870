"""How each kind of fault is brought about, where containers are frozen."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Mapping

from tests.chaos import faults
from tests.chaos.driver import Driver
from tests.chaos.faults import Doing, Doings
from tests.chaos.frozen.scene import NAMES
from tests.chaos.frozen.stage import FrozenStage
from tests.chaos.plan import Planned
from tests.chaos.witness import AWAY

COMES_S = 6.0
"""For the first freeze or thaw after the queues have moved."""
LOOK_EVERY_S = 0.005


def agent(stage: FrozenStage, planned: Planned, rng: random.Random) -> Doing:
    if "event" not in planned.how:
        yield from faults.agent(stage, planned, rng)
        return
    names = stage.scene.measured
    before = stage.witness.seen[planned.how["event"]]
    stage.queues.pin(names, planned.how["waiting"])
    deadline = time.monotonic() + COMES_S
    while stage.witness.seen[planned.how["event"]] == before and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
    stage.agent.kill()
    yield
    stage.queues.unpin(names)
    stage.agent.start()


def frozen(stage: FrozenStage, planned: Planned, rng: random.Random) -> Doing:
    ids: list[str] = []
    with contextlib.suppress(*AWAY), stage.client() as client:
        ids = stage.frozen(client)
    for id in rng.sample(ids, min(len(ids), planned.how["count"])):
        if planned.kind == "frozen ones removed":
            stage.by_hand(id, "remove")
        else:
            stage.unpause(id)
    yield


def held(stage: FrozenStage, planned: Planned, rng: random.Random) -> Doing:
    ids: list[str] = []
    with contextlib.suppress(*AWAY), stage.client() as client:
        ids = [id for id in stage.ours(client) if id not in stage.frozen(client)]
    chosen = rng.sample(ids, min(len(ids), planned.how["count"]))
    for id in chosen:
        stage.pause(id)
    yield
    for id in chosen:
        if id in stage.witness.held:
            stage.unpause(id)


DOINGS: Mapping[str, Doings] = {
    "agent": (agent, NAMES),
    "clock": (faults.clock, ()),
    "engine": (faults.engine, NAMES),
    "link": (faults.link, NAMES),
    "containers": (faults.containers, NAMES),
    "frozen": (frozen, NAMES),
    "held": (held, NAMES),
    "demand": (faults.demand, ()),
}


class FrozenDriver(Driver):
    """One run."""

    doings = DOINGS
