"""How each kind of fault is brought about, where Compose is in use."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Mapping

from tests.chaos import faults
from tests.chaos.compose.invariants import WHOLE
from tests.chaos.compose.own import NAME
from tests.chaos.compose.plan import OWN, PAIRS, SINGLE
from tests.chaos.compose.scene import NAMES
from tests.chaos.compose.stage import ComposeStage
from tests.chaos.faults import Doing, Doings
from tests.chaos.plan import Planned
from tests.chaos.witness import AWAY

SCALES = ("up", "-d")
ENDS_ALL = ("stop", "kill", "rm", "down")
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
            stage.history.add("rests", name, detail="" if names else WHOLE)
        yield
        for name in resting:
            stage.history.add("wakes", name)
        project.run(*then, *names)
        return
    scale = [f"--scale={name}={count}" for name, count in how.get("scale", {}).items()]
    project.run(*SINGLE.get(kind, SCALES), *scale, *names)
    yield


def agent(stage: ComposeStage, planned: Planned, rng: random.Random) -> Doing:
    """The agent is killed, or told to end, and started again, with or without what it has kept; or Compose
    does so, whose service it is."""
    if planned.kind in OWN:
        if "changed" in planned.kind:
            stage.project.change_agent()
        stage.project.run(*OWN[planned.kind], NAME)
        yield
        return
    doing = faults.agent(stage, planned, rng)
    next(doing)
    yield
    if planned.kind == "agent killed, its state lost":
        stage.lose_state()
        stage.history.add("state lost")
    next(doing, None)


def engine(stage: ComposeStage, planned: Planned, rng: random.Random) -> Doing:
    """The engine is restarted. What it does not start by itself a person does."""
    yield from faults.engine(stage, planned, rng)
    stage.project.run("up", "-d")


def containers(stage: ComposeStage, planned: Planned, rng: random.Random) -> Doing:
    """Programs end by themselves, or somebody removes copies: without the last of Compose's, a service is
    gone."""
    removed = planned.kind == "copies removed"
    ids: list[str] = []
    with contextlib.suppress(*AWAY), stage.client() as client:
        ids = stage.ours(client, planned.how["task"], copies=removed)
    for id in rng.sample(ids, min(len(ids), planned.how["count"])):
        stage.by_hand(id, "remove") if removed else stage.end_program(id)
    yield


def crash(stage: ComposeStage, planned: Planned, rng: random.Random) -> Doing:
    """The flaky service's programs end, and do so again at each start."""
    stage.crash(True)
    with contextlib.suppress(*AWAY), stage.client() as client:
        for id in stage.ours(client, "flaky"):
            stage.end_program(id)
    yield
    stage.crash(False)


DOINGS: Mapping[str, Doings] = {
    "agent": (agent, NAMES),
    "engine": (engine, NAMES),
    "link": (faults.link, NAMES),
    "containers": (containers, NAMES),
    "crash": (crash, ("flaky",)),
    "demand": (faults.demand, ()),
    "compose": (compose, NAMES),
}
