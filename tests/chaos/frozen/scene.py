"""What runs in a chaos run with frozen containers: tasks that freeze, and one that has warm ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.scene import CAP, SLOW, Part, Scene, app_of, by_http
from tests.integration.engines import BUSYBOX, LABEL

LEASE_S = 60
GO = "18"
"""SIGCONT, as the engine's events have it: a container is told that it is to work."""
LOADS = "trap 'exit 0' TERM; trap : CONT; sleep 1; : >/ready; while :; do sleep 3600 & wait $!; done"


@dataclass(frozen=True)
class Yielding(Part):
    """A task whose containers are frozen when it gives way."""

    paused: int = 0
    """So many are frozen at the same time; 0: it stops its containers."""
    seconds: float = 0.0
    """What has been frozen for so long is ended."""
    warm: int = 0
    """So many are started ahead and frozen; each is told go before it works, and then never frozen."""

    def config(self) -> dict[str, Any]:
        """The keys that make it freeze."""
        if self.warm:
            ready = {"file": "/ready"}
            return {
                "command": ["sh", "-c", LOADS],
                "warm": self.warm,
                "warmAfter": ready,
                "go": {"signal": "CONT"},
            }
        if not self.paused:
            return {}
        found: dict[str, Any] = {
            "yield": "pause", "yieldPaused": self.paused, "yieldSeconds": int(self.seconds)
        }  # fmt: skip
        return found | ({"leaseSeconds": LEASE_S} if self.measured else {})


PARTS = (
    Yielding("alpha", 1, 2, 8, "Queue", "mss-test/sleeper"),
    Yielding("beta", 2, 1, 6, "Queue", "mss-test/sleeper", paused=3, seconds=12),
    Yielding("gamma", 3, 1, 4, "Queue", BUSYBOX, warm=2),
    Yielding("rest", 5, 1, 6, "Remainder", SLOW, paused=4, seconds=15),
)
SPARE = CAP - sum(part.least if part.measured else part.most for part in PARTS)
"""Without free places no container is made warm."""
SCENE = Scene(PARTS, CAP, LABEL, settles_s=20.0, spare=SPARE, freezes=True)
NAMES = tuple(part.name for part in PARTS)


def apps(endpoints: Mapping[str, str]) -> list[dict[str, Any]]:
    """The tasks as a configuration has them."""
    none = {"networkMode": "none"}
    return [app_of(part, none | part.config() | by_http(part, endpoints)) for part in PARTS]
