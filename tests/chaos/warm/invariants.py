"""What must hold besides in every run with warm containers."""

from __future__ import annotations

import signal

from tests.chaos import invariants
from tests.chaos.frozen.invariants import cap_holds
from tests.chaos.history import History
from tests.chaos.invariants import Violation
from tests.chaos.warm.scene import POOLED

GO = (str(int(signal.SIGCONT)), "SIGCONT")


def told_ones_are_not_frozen(history: History) -> list[Violation]:
    """The agent freezes nothing of a pool that was told go: it may have a job."""
    by_hand = {h.id for h in history.of("by hand") if h.detail == "pause"}
    told: dict[str, float] = {}
    found = []
    for happening in history.of("kill", "pause"):
        if happening.task not in POOLED:
            continue
        if happening.kind == "kill" and happening.detail in GO:
            told.setdefault(happening.id, happening.t)
        elif happening.kind == "pause" and happening.id in told and happening.id not in by_hand:
            since = happening.t - told[happening.id]
            what = f"{happening.task} {happening.id[:12]} was frozen {since:.1f} s after it was told go"
            found.append(Violation("told", happening.t, what))
    return found


def handshakes_of(history: History) -> dict[str, int]:
    """How often a container was frozen, went on, and was told go."""
    counts = {kind: sum(h.task in POOLED for h in history.of(kind)) for kind in ("pause", "unpause")}
    go = sum(h.task in POOLED and h.detail in GO for h in history.of("kill"))
    return {"made warm": counts["pause"], "went on": counts["unpause"], "told go": go}


CHECKERS = (
    cap_holds,
    # What only loads goes for others without a reading of its own task, and what is frozen is no stop.
    *(
        checker
        for checker in invariants.CHECKERS
        if checker not in (invariants.cap_holds, invariants.nothing_goes_without_a_reading)
    ),
    told_ones_are_not_frozen,
)
