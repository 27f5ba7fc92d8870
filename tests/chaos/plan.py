"""What is to go wrong, and when: all of it made up front, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.chaos import link, source
from tests.chaos.scene import MAX_WAITING, MEASURED, PARTS, TARGET

FULL = 0.6
"""How many of the sources that fail have a full queue when they do: then there is something to be lost."""
ROUND_S = 6.0
"""No round takes less, so this many are enough for any run."""
OFTEN = {"agent": 2, "engine": 3, "link": 2, "containers": 2, "crash": 2, "demand": 2}
"""How often a kind of these groups comes for each that comes once: there are many kinds of bad sources."""
JUMPS = ("+3600", "-3600", "+30", "-30", "+31536000", "-86400", "+2")
"""Seconds that the agent's wall clock is moved by."""


@dataclass(frozen=True)
class Planned:
    """One fault: `at` seconds after its round begins, for `lasts` seconds."""

    kind: str
    group: str
    at: float
    lasts: float
    how: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        how = ", ".join(f"{key} {value}" for key, value in self.how.items())
        return f"{self.kind} at {self.at:.1f} s for {self.lasts:.1f} s" + (f" ({how})" if how else "")


@dataclass(frozen=True)
class Round:
    """Faults that overlap, then time to recover, then `gap_s` seconds more. `steady`: the lengths at
    which all queues then stay until the tasks have settled; None: they move on."""

    faults: tuple[Planned, ...]
    gap_s: float
    steady: dict[str, int] | None


Maker = Callable[[random.Random], tuple[float, dict[str, Any]]]
"""How long a fault lasts, and how it goes about it."""


def lasting(least: float, most: float, **how: Any) -> Maker:
    return lambda rng: (rng.uniform(least, most), how)


def _some(rng: random.Random) -> tuple[float, dict[str, Any]]:
    name = rng.choice([part.name for part in PARTS] + [""] * 3)  # empty: of any task
    return 0.0, {"task": name, "count": rng.randint(1, 6)}


def _one_source(mode: str) -> Maker:
    return lambda rng: (
        rng.uniform(0.5, 12),
        {"modes": {rng.choice(MEASURED): mode}, "full": rng.random() < FULL},
    )


def _all_sources(rng: random.Random) -> tuple[float, dict[str, Any]]:
    modes = sorted(source.MODES)
    return rng.uniform(3, 12), {
        "modes": {name: rng.choice(modes) for name in MEASURED},
        "full": rng.random() < FULL,
    }


def _jump(rng: random.Random) -> tuple[float, dict[str, Any]]:
    return rng.uniform(1, 10), {"offset": rng.choice(JUMPS)}


KINDS: dict[str, tuple[str, Maker]] = {
    "agent killed": ("agent", lasting(0, 5)),
    "agent killed, back at once": ("agent", lasting(0, 0)),
    "agent told to leave": ("agent", lasting(0, 2)),
    "agent frozen": ("agent", lasting(0.5, 15)),
    "agent's clock moved": ("clock", _jump),
    "engine stopped": ("engine", lasting(0, 5)),
    "engine killed": ("engine", lasting(0, 5)),
    "engine frozen": ("engine", lasting(0.5, 14)),
    "containers killed": ("containers", _some),
    "containers stopped": ("containers", _some),
    "containers removed": ("containers", _some),
    "foreign containers": ("foreign", lasting(1, 8)),
    "crash loop": ("crash", lasting(4, 15)),
    "cap filled": ("demand", lasting(3, 8, waiting=MAX_WAITING)),
    "queues emptied": ("demand", lasting(3, 8, waiting=0)),
    "all sources": ("sources", _all_sources),
    **{f"link: {mode}": ("link", lasting(0.5, 12)) for mode in link.MODES},
    **{f"source: {mode}": ("sources", _one_source(mode)) for mode in source.MODES},
}


@dataclass(frozen=True)
class Deck:
    """What plans are drawn from."""

    kinds: Mapping[str, tuple[str, Maker]]
    """Every kind of fault: its group, of which there is one at a time, and how it is made up."""
    often: Mapping[str, int]
    """How often a kind of these groups comes for each that comes once."""
    measured: tuple[str, ...]
    """The tasks with a queue."""
    steady: float
    """The share of the rounds at whose end the queues come to rest."""
    apart: tuple[str, ...] = ()
    """Groups that do not overlap with each other either."""

    def excludes(self, group: str, other: str) -> bool:
        """Whether faults of these two groups may not overlap."""
        return group == other or (group in self.apart and other in self.apart)


DOCKER = Deck(KINDS, OFTEN, MEASURED, steady=0.3)


def make_plan(seed: int, minutes: float, without: tuple[str, ...] = (), deck: Deck = DOCKER) -> list[Round]:
    """More rounds than there is time for. `without`: groups of faults that cannot be had; all else stays
    the same."""
    rng = random.Random(seed)
    often = [kind for kind, (group, _) in deck.kinds.items() for _ in range(deck.often.get(group, 1))]
    kinds = _bag(rng, sorted(often))
    rounds = [_round(rng, kinds, deck) for _ in range(int(minutes * 60 / ROUND_S) + 1)]
    left = [replace(r, faults=tuple(f for f in r.faults if f.group not in without)) for r in rounds]
    return [round for round in left if round.faults]


def _bag(rng: random.Random, kinds: list[str]) -> Iterator[str]:
    """All kinds in random order, again and again, so that short runs too see many."""
    while True:
        yield from rng.sample(kinds, len(kinds))


def _round(rng: random.Random, kinds: Iterator[str], deck: Deck) -> Round:
    faults: list[Planned] = []
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        kind = next(kinds)
        group, make = deck.kinds[kind]
        if any(deck.excludes(fault.group, group) for fault in faults):
            continue
        lasts, how = make(rng)
        at = rng.uniform(0, 4) if faults else 0.0
        faults.append(Planned(kind, group, round(at, 2), round(lasts, 2), how))
    steady = None
    if rng.random() < deck.steady:
        steady = {name: rng.choice((0, MAX_WAITING)) for name in deck.measured}
    return Round(tuple(faults), round(rng.uniform(0.5, 6), 2), steady)


def demand(seed: int, measured: Iterable[str]) -> Iterator[dict[str, int]]:
    """How the lengths of the queues move: some stay, some wander, some jump."""
    rng = random.Random(f"{seed}, demand")
    lengths = dict.fromkeys(measured, 0)
    while True:
        for name, length in lengths.items():
            what = rng.random()
            if what < 0.04:
                lengths[name] = rng.choice((0, 0, TARGET, MAX_WAITING))
            elif what < 0.5:
                lengths[name] = min(MAX_WAITING, max(0, length + rng.randint(-25, 25)))
        yield dict(lengths)
