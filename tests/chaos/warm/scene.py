"""What runs in a chaos run with warm containers: two tasks that have some, two that yield, and places that
stay free for those that load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.frozen import scene as yielding
from tests.chaos.frozen.scene import Yielding
from tests.chaos.frozen.stage import FrozenStage
from tests.chaos.scene import CAP, SLOW, Scene
from tests.integration.engines import LABEL

FREE = 5
"""Places that the tasks leave while the queues are empty."""
WORKER = (
    "mkdir -p /tmp; trap 'exit 0' TERM; trap 'go=1' CONT; sleep 1; : >/tmp/ready; "
    'until [ "$go" ]; do sleep 0.1; done; while :; do sleep 3600 & wait $!; done'
)


@dataclass(frozen=True)
class Pooled(Yielding):
    """A task with warm containers."""

    warm: int = 2

    def config(self) -> dict[str, Any]:
        handshake = {"warmAfter": {"file": "/tmp/ready"}, "go": {"signal": "CONT"}}
        return {**super().config(), "warm": self.warm, **handshake, "command": ["sh", "-c", WORKER]}


PARTS = (
    Pooled("alpha", 1, 2, 8, "Queue", "mss-test/sleeper", warm=3),
    Yielding("beta", 2, 1, 6, "Queue", "mss-test/sleeper", paused=3, seconds=12),
    Pooled("gamma", 3, 1, 4, "SimpleQueue", "mss-test/sleeper"),
    Yielding("rest", 5, 1, CAP - FREE, "Remainder", SLOW, paused=6, seconds=15),
)
SCENE = Scene(PARTS, CAP, LABEL, settles_s=20.0, freezes=True)
POOLED = tuple(part.name for part in PARTS if isinstance(part, Pooled))


class WarmStage(FrozenStage):
    """As its base, with these tasks."""

    def _apps(self) -> list[dict[str, object]]:
        return apps(self.endpoints)


def apps(endpoints: Mapping[str, str]) -> list[dict[str, Any]]:
    """The tasks as a configuration has them."""
    return [yielding.app_of(part, endpoints) for part in PARTS]
