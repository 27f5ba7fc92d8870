"""The kinds of runs: with the scheduler DOCKER, or with COMPOSE and a person who uses Compose."""

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
from tests.chaos.driver import Driver
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


DOCKER = Chaos(scene.DOCKER, plan.DOCKER, Stage, Driver, invariants.CHECKERS)


def with_compose(command: str, own: bool = False) -> Chaos:
    """`command`: Compose, as it is called. `own`: the agent is a service of the project that it scales."""
    stage = functools.partial(OwnStage if own else ComposeStage, command=command)
    return Chaos(SCENE, OWN_DECK if own else DECK, stage, ComposeDriver, of_compose.CHECKERS)
