"""What runs in a chaos run with drains: tasks whose containers have jobs, each with its sign of a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.scene import CAP, Part, Scene, app_of, by_http
from tests.integration.engines import BUSYBOX, LABEL

WORKER = """\
#!/bin/sh
# Has jobs of 1.5 to 5 s, or with "never" one that does not end. Takes none between USR1 and USR2,
# and ends with TERM after its job. Says what it does, with the machine's uptime, in a file of its host name.
said=/chaos/said/$(hostname) quiet= over=
trap 'quiet=1' USR1
trap 'quiet=' USR2
trap 'over=1' TERM
say() { read -r up rest </proc/uptime; echo "$up $1" >>"$said"; }
say up
while [ -z "$over" ]; do
    if [ -z "$quiet" ]; then
        cat /chaos/content >/busy
        if [ -z "$quiet$over" ]; then
            say busy
            [ "$1" != never ] || while :; do sleep 60 & wait $!; done
            sleep $((RANDOM % 4 + 1)).$((RANDOM % 5 + 5))
            say idle
        fi
        rm -f /busy
    fi
    sleep 0.$((RANDOM % 8 + 2))
done
"""
PROBE = "[ ! -e /chaos/hang ] || sleep 12; [ ! -e /busy ]"
"""Exit code 0 is idle."""


@dataclass(frozen=True)
class Worker(Part):
    """A task whose containers drain."""

    seconds: float = 0.0
    """The longest drain."""
    for_others_s: float = 0.0
    """The same while another task waits for a place; 0: no other time."""
    quiet: bool = False
    """It is told to take no new job."""
    never_idle: bool = False
    holds_place: bool = True
    """While it drains, it keeps its place under the cap."""

    @property
    def least_s(self) -> float:
        """The shortest time after which a container that is at work may be stopped."""
        return self.for_others_s or self.seconds

    def config(self) -> dict[str, Any]:
        """The keys that make it drain."""
        drain: dict[str, Any] = {"seconds": self.seconds}
        if self.for_others_s:
            drain["secondsForOthers"] = self.for_others_s
        if not self.holds_place:
            drain["holdsPlace"] = False
        if self.quiet:
            drain |= {"signal": "USR1", "resume": {"signal": "USR2"}}
        if self.name == "beta":
            return {"busyProbe": {"exec": ["sh", "-c", PROBE]}, "drain": drain}
        return {"busyFile": "/busy", "drain": drain}


PARTS = (
    Worker("alpha", 1, 2, 6, "Queue", BUSYBOX, seconds=6, quiet=True),
    Worker("beta", 2, 1, 5, "Queue", BUSYBOX, seconds=12, holds_place=False),
    Worker("gamma", 3, 1, 4, "Queue", BUSYBOX, seconds=5, never_idle=True),
    Worker("rest", 5, 1, CAP, "Remainder", BUSYBOX, seconds=8, for_others_s=4),
)
LONGEST_S = max(part.seconds for part in PARTS)
SCENE = Scene(
    PARTS,
    CAP,
    LABEL,
    # A place may change hands twice, and each time wait for a drain.
    settles_s=20.0 + 3 * LONGEST_S,
    still_s=LONGEST_S,
    recovers_s=5.0 + LONGEST_S,
    stops_after_s=LONGEST_S + 2.0,
)
NAMES = tuple(part.name for part in PARTS)


def apps(endpoints: Mapping[str, str], folder: Path) -> list[dict[str, Any]]:
    """The tasks as a configuration has them. `folder`: the workers' own, with their program."""
    return [_app(part, endpoints, folder) for part in PARTS]


def _app(part: Worker, endpoints: Mapping[str, str], folder: Path) -> dict[str, Any]:
    words = ["sh", "/chaos/worker.sh", "never" if part.never_idle else "work"]
    config = {"networkMode": "none", "command": words, "volumes": [f"{folder}:/chaos"], **part.config()}
    return app_of(part, config | by_http(part, endpoints))
