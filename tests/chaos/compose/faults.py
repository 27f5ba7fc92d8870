"""How each kind of fault is brought about, where Compose is in use."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Mapping

from tests.chaos import faults
from tests.chaos.compose.plan import PAIRS, SINGLE
from tests.chaos.compose.scene import NAMES
from tests.chaos.compose.stage import ComposeStage
from tests.chaos.faults import Doing, Doings
from tests.chaos.plan import Planned
from tests.chaos.witness import AWAY

SCALES = ("up", "-d")
ENDS_ALL = ("stop", "rm", "down")
"""Commands after which nothing may run until another one."""


def compose(stage: ComposeStage, planned: Planned, rng: random.Random) -> Doing:
    """A person uses Compose."""
    how, project = planned.how, stage.project
    names = tuple(how["services"])
    project.change(names or NAMES if "change" in how else (), how.get("change", ""))
    kind = planned.kind.removeprefix("compose: ")
    if kind in PAIRS:
        first, then = PAIRS[kind]
        up = [name for name, count in stage.witness.counts().items() if count]
        code = project.run(*first, *names)
        if first[0] == "down":
            stage.history.add("down", detail={"code": code, "left": stage.left()})
        # Of one that did not run, nothing shows that it was stopped.
        resting = [name for name in names or NAMES if name in up and first[0] in ENDS_ALL]
        for name in resting:
            stage.history.add("rests", name)
        yield
        for name in resting:
            stage.history.add("wakes", name)
        project.run(*then, *names)
        return
    scale = [f"--scale={name}={count}" for name, count in how.get("scale", {}).items()]
    project.run(*SINGLE.get(kind, SCALES), *scale, *names)
    yield


def agent(stage: ComposeStage, planned: Planned, rng: random.Random) -> Doing:
    """The agent is killed, or told to end, and started again, with or without what it has kept."""
    doing = faults.agent(stage, planned, rng)
    next(doing)
    yield
    if planned.kind == "agent killed, its state lost":
        shutil.rmtree(stage.state, ignore_errors=True)
    next(doing, None)


def engine(stage: ComposeStage, planned: Planned, rng: random.Random) -> Doing:
    """The engine is restarted. What it does not start by itself a person does."""
    yield from faults.engine(stage, planned, rng)
    stage.project.run("up", "-d")


def containers(stage: ComposeStage, planned: Planned, rng: random.Random) -> Doing:
    """Somebody kills containers, or removes copies: without the last of Compose's, a service is gone."""
    ids: list[str] = []
    with contextlib.suppress(*AWAY), stage.client() as client:
        ids = stage.ours(client, planned.how["task"], copies=planned.kind == "copies removed")
    action = "remove" if planned.kind == "copies removed" else "kill"
    for id in rng.sample(ids, min(len(ids), planned.how["count"])):
        stage.by_hand(id, action)
    yield


DOINGS: Mapping[str, Doings] = {
    "agent": (agent, NAMES),
    "engine": (engine, NAMES),
    "link": (faults.link, NAMES),
    "containers": (containers, NAMES),
    "crash": (faults.crash, ("flaky",)),
    "demand": (faults.demand, ()),
    "compose": (compose, NAMES),
}
