"""What is to go wrong, and when: all of it made up front, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.swarm.chaos.history import PARTS

AGENTS = 3
MODES = ("cut", "refuse", "hang", "half-open", "lose replies")
LASTS = {
    "agent killed": (0.0, 6.0),
    "agent frozen": (1.0, 12.0),
    "agent told to end": (0.0, 4.0),
    "node killed": (8.0, 25.0),
    "node killed with its agent": (8.0, 25.0),
    "node drained": (5.0, 20.0),
    "stack deploy": (0.0, 0.0),
    **{f"link: {mode}": (1.0, 12.0) for mode in MODES},
}
"""By kind, the shortest and the longest time of a fault (seconds)."""
OF_NODES = ("node killed", "node killed with its agent", "node drained")
OFTEN = {"agent killed": 3, "agent frozen": 3, "stack deploy": 2, "node killed with its agent": 2}
"""How often a kind comes for each that comes once."""
MOST_WAITING = 14


@dataclass(frozen=True)
class Planned:
    """One fault: `at` seconds after its round begins, for `lasts` seconds. `where` is the number of an agent
    and its node; -1: that of the agent that decides then."""

    kind: str
    at: float
    lasts: float
    where: int

    def __str__(self) -> str:
        where = f"agent or node {self.where + 1}" if self.where >= 0 else "the agent that decides"
        return f"{self.kind} at {self.at:g} s for {self.lasts:g} s ({where})"


@dataclass(frozen=True)
class Round:
    """Faults that overlap, queues that jump meanwhile, and their lengths when all is over."""

    faults: tuple[Planned, ...]
    jumps: tuple[tuple[float, dict[str, int]], ...]
    """Times after the begin of the round, and the lengths from then on."""
    steady: dict[str, int]

    @property
    def lasts(self) -> float:
        return max(fault.at + fault.lasts for fault in self.faults)


def make_plan(seed: int) -> Iterator[Round]:
    """Rounds without end."""
    rng = random.Random(seed)
    kinds = [kind for kind in LASTS for _ in range(OFTEN.get(kind, 1))]
    bag: list[str] = []
    while True:
        faults: list[Planned] = []
        for _ in range(rng.choice((1, 2, 2, 3))):
            if not bag:  # all kinds in random order, so that short runs too see many
                bag = rng.sample(kinds, len(kinds))
            kind = bag.pop()
            if kind in OF_NODES and any(fault.kind in OF_NODES for fault in faults):
                continue  # of three managers one may be missing
            least, most = LASTS[kind]
            # A node that is drained or killed is any; of the agents the one that decides is of most interest.
            where = rng.randrange(AGENTS) if kind in OF_NODES or rng.random() < 0.4 else -1
            faults.append(
                Planned(kind, round(rng.uniform(0, 6), 1), round(rng.uniform(least, most), 1), where)
            )
        lasts = max(fault.at + fault.lasts for fault in faults) + 3.0
        times = [0.0]
        while times[-1] < lasts:
            times.append(round(times[-1] + rng.uniform(1.5, 5.0), 1))
        yield Round(tuple(faults), tuple((t, _lengths(rng)) for t in times), _lengths(rng))


def _lengths(rng: random.Random) -> dict[str, int]:
    return {part.name: rng.choice((0, 0, rng.randint(0, MOST_WAITING), MOST_WAITING)) for part in PARTS}
