"""What goes wrong while containers drain."""

from __future__ import annotations

import random
from typing import Any

from tests.chaos import link
from tests.chaos.drains.scene import NAMES, SCENE
from tests.chaos.plan import JUMPS, Deck, Maker, lasting
from tests.chaos.scene import MAX_WAITING

CONTENTS = {
    "garbage": "\x00\x1b[31m until \u221e, or 17\n17",
    "negative": "-5",
    "in the year 3000": "32503680000",
    "huge": "9" * 60,
    "no number": "NaN",
}
"""What a busy file may have in it, none of which ends its protection."""


def _some(rng: random.Random) -> tuple[float, dict[str, Any]]:
    return 0.0, {"task": rng.choice(["", "", *NAMES]), "count": rng.randint(1, 5)}


def _jump(rng: random.Random) -> tuple[float, dict[str, Any]]:
    return rng.uniform(2, 12), {"offset": rng.choice(JUMPS)}


def _content(content: str) -> Maker:
    return lambda rng: (rng.uniform(6, 15), {"content": content})


DECK = Deck(
    kinds={
        "agent killed": ("agent", lasting(0, 5)),
        "agent killed, back at once": ("agent", lasting(0, 0)),
        "agent told to leave": ("agent", lasting(0, 2)),
        "agent frozen": ("agent", lasting(0.5, 10)),
        "agent's clock moved": ("clock", _jump),
        "engine stopped": ("engine", lasting(0, 5)),
        "engine killed": ("engine", lasting(0, 5)),
        "engine frozen": ("engine", lasting(0.5, 10)),
        "containers killed": ("containers", _some),
        "containers stopped": ("containers", _some),
        "containers removed": ("containers", _some),
        "probe hangs": ("probe", lasting(4, 15)),
        "cap filled": ("demand", lasting(3, 10, waiting=MAX_WAITING)),
        "queues emptied": ("demand", lasting(3, 10, waiting=0)),
        **{f"busy file: {name}": ("content", _content(content)) for name, content in CONTENTS.items()},
        **{f"link: {mode}": ("link", lasting(0.5, 10)) for mode in link.MODES},
    },
    often={"agent": 2, "probe": 4, "content": 2, "demand": 3},
    measured=SCENE.measured,
    steady=0.2,
)
