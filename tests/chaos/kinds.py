"""The kinds of runs: with the scheduler DOCKER, there also with drains or with frozen containers, or with
COMPOSE and a person."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import invariants, plan, scene
from tests.chaos.compose import invariants as of_compose
from tests.chaos.compose.driver import ComposeDriver
from tests.chaos.compose.plan import DECK, OWN_DECK
from tests.chaos.compose.scene import SCENE
from tests.chaos.compose.stage import ComposeStage, OwnStage
from tests.chaos.drains import invariants as of_drains
from tests.chaos.drains import plan as with_drains
from tests.chaos.drains import scene as workers
from tests.chaos.drains.faults import DrainDriver
from tests.chaos.drains.stage import DrainStage
from tests.chaos.driver import Driver
from tests.chaos.frozen import invariants as of_frozen
from tests.chaos.frozen import plan as with_frozen
from tests.chaos.frozen import scene as yielding
from tests.chaos.frozen.faults import FrozenDriver
from tests.chaos.frozen.stage import FrozenStage
from tests.chaos.history import History
from tests.chaos.stage import Stage


@dataclass(frozen=True)
class Chaos:
    """One kind of runs."""

    scene: scene.Scene
    deck: plan.Deck
    stage: Callable[[Path, History, int], Stage]
    driver: type[Driver]
    checkers: tuple[invariants.Checker, ...]
    figures: Callable[[History], dict[str, int]] = lambda history: {}
    """What else is worth counting."""


DOCKER = Chaos(scene.DOCKER, plan.DOCKER, Stage, Driver, invariants.CHECKERS)
DRAINS = Chaos(
    workers.SCENE, with_drains.DECK, DrainStage, DrainDriver, of_drains.CHECKERS, of_drains.jobs_of
)
FROZEN = Chaos(
    yielding.SCENE, with_frozen.DECK, FrozenStage, FrozenDriver, of_frozen.CHECKERS, of_frozen.freezes_of
)


def with_compose(command: str, own: bool = False) -> Chaos:
    """`command`: Compose, as it is called. `own`: the agent is a service of the project that it scales."""
    stage = functools.partial(OwnStage if own else ComposeStage, command=command)
    return Chaos(SCENE, OWN_DECK if own else DECK, stage, ComposeDriver, of_compose.CHECKERS)
