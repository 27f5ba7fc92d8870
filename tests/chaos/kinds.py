"""The kinds of runs: with the scheduler DOCKER, or with COMPOSE and a person who uses Compose."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import invariants, plan, scene
from tests.chaos.compose import invariants as of_compose
from tests.chaos.compose.driver import ComposeDriver
from tests.chaos.compose.plan import DECK
from tests.chaos.compose.scene import SCENE
from tests.chaos.compose.stage import ComposeStage
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


def with_compose(command: str) -> Chaos:
    """`command`: Compose, as it is called."""
    stage = functools.partial(ComposeStage, command=command)
    return Chaos(SCENE, DECK, stage, ComposeDriver, of_compose.CHECKERS)
