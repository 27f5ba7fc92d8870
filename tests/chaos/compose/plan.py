"""What a person does with Compose, and what goes wrong meanwhile."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from tests.chaos.compose.scene import NAMES, SCENE
from tests.chaos.plan import Deck, Maker, lasting
from tests.chaos.scene import MAX_WAITING

PAIRS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "stop, start": (("stop",), ("start",)),
    "stop, up": (("stop",), ("up", "-d")),
    "kill, start": (("kill",), ("start",)),
    "rm -s -f, up": (("rm", "-s", "-f"), ("up", "-d")),
    "down, up": (("down",), ("up", "-d")),
    "pause, unpause": (("pause",), ("unpause",)),
}
"""What is typed first, and what is typed after a while."""
SINGLE: dict[str, tuple[str, ...]] = {
    "up": ("up", "-d"),
    "up, changed": ("up", "-d"),
    "up, changed, no recreate": ("up", "-d", "--no-recreate"),
    "up, forced": ("up", "-d", "--force-recreate"),
    "restart": ("restart",),
}
OWN: dict[str, tuple[str, ...]] = {
    "agent: restart": ("restart",),
    "agent: up, changed": ("up", "-d", "--no-deps"),
    "agent: up, forced": ("up", "-d", "--no-deps", "--force-recreate"),
}
"""What is typed for the service that is the agent."""
WHOLE = ("down, up",)
"""What cannot be done to a single service."""


def _typed(least: float, most: float, change: bool = False, whole: bool = False) -> Maker:
    def make(rng: random.Random) -> tuple[float, dict[str, Any]]:
        services = [] if whole or rng.random() < 0.5 else [rng.choice(NAMES)]
        how: dict[str, Any] = {"services": services}
        if change:
            how["change"] = rng.choice(("environment", "environment", "image"))
        return rng.uniform(least, most), how

    return make


def _scaled(change: bool) -> Maker:
    def make(rng: random.Random) -> tuple[float, dict[str, Any]]:
        how: dict[str, Any] = {"services": [], "scale": {rng.choice(NAMES): rng.randint(1, 4)}}
        if change:
            how["change"] = "environment"
        return 0.0, how

    return make


def _killed(rng: random.Random) -> tuple[float, dict[str, Any]]:
    return 0.0, {"task": rng.choice(["", *NAMES]), "count": rng.randint(1, 4)}


DECK = Deck(
    kinds={
        **{f"compose: {kind}": ("compose", _typed(2, 12, whole=kind in WHOLE)) for kind in PAIRS},
        **{f"compose: {kind}": ("compose", _typed(0, 0, "changed" in kind)) for kind in SINGLE},
        "compose: scale": ("compose", _scaled(change=False)),
        "compose: scale, changed": ("compose", _scaled(change=True)),
        "agent killed": ("agent", lasting(0, 8)),
        "agent killed, its state lost": ("agent", lasting(0, 8)),
        "agent told to leave": ("agent", lasting(0, 4)),
        "engine stopped": ("engine", lasting(0, 5)),
        "engine killed": ("engine", lasting(0, 5)),
        "link: cut": ("link", lasting(0.5, 8)),
        "link: refuse": ("link", lasting(0.5, 8)),
        "programs ended": ("containers", _killed),
        "copies removed": ("containers", _killed),
        "crash loop": ("crash", lasting(4, 12)),
        "cap filled": ("demand", lasting(3, 8, waiting=MAX_WAITING)),
        "queues emptied": ("demand", lasting(3, 8, waiting=0)),
    },
    often={"compose": 2, "agent": 2},
    measured=SCENE.measured,
    steady=1.0,
    apart=("compose", "engine"),  # Compose without an engine shows nothing
)

OWN_DECK = replace(DECK, kinds={**DECK.kinds, **{kind: ("agent", lasting(0, 3)) for kind in OWN}})
"""Where the agent is a service of the project."""
