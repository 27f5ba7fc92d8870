"""What goes wrong while containers are frozen, thawed and ended."""

from __future__ import annotations

import random
from typing import Any

from tests.chaos import link
from tests.chaos.frozen.scene import NAMES, SCENE
from tests.chaos.plan import JUMPS, Deck, lasting
from tests.chaos.scene import MAX_WAITING


def _some(rng: random.Random) -> tuple[float, dict[str, Any]]:
    return 0.0, {"task": rng.choice(["", "", *NAMES]), "count": rng.randint(1, 5)}


def _held(rng: random.Random) -> tuple[float, dict[str, Any]]:
    return rng.uniform(2, 10), {"count": rng.randint(1, 3)}


def _jump(rng: random.Random) -> tuple[float, dict[str, Any]]:
    return rng.uniform(2, 12), {"offset": rng.choice(JUMPS)}


DECK = Deck(
    kinds={
        "agent killed": ("agent", lasting(0, 5)),
        "agent killed, back at once": ("agent", lasting(0, 0)),
        "agent killed while it freezes": ("agent", lasting(0, 3, waiting=MAX_WAITING, event="pause")),
        "agent killed while it thaws": ("agent", lasting(0, 3, waiting=0, event="unpause")),
        "agent told to leave": ("agent", lasting(0, 2)),
        "agent frozen": ("agent", lasting(0.5, 10)),
        "agent's clock moved": ("clock", _jump),
        "engine stopped": ("engine", lasting(0, 5)),
        "engine killed": ("engine", lasting(0, 5)),
        "engine frozen": ("engine", lasting(0.5, 10)),
        "containers killed": ("containers", _some),
        "containers removed": ("containers", _some),
        "frozen ones removed": ("frozen", lasting(0, 0, count=2)),
        "frozen ones unpaused by hand": ("frozen", lasting(1, 5, count=2)),
        "containers paused by hand": ("held", _held),
        "cap filled": ("demand", lasting(3, 18, waiting=MAX_WAITING)),
        "queues emptied": ("demand", lasting(3, 10, waiting=0)),
        **{f"link: {mode}": ("link", lasting(0.5, 10)) for mode in link.MODES},
    },
    often={"agent": 2, "frozen": 3, "held": 3, "engine": 2, "demand": 4},
    measured=SCENE.measured,
    steady=0.3,
    # Both move the queues.
    apart=("agent", "demand"),
)
