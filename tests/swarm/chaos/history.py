"""What happened in a run, as the invariants look at it. Times are seconds of the monotonic clock."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """One service that is scaled."""

    name: str
    priority: int
    least: int
    most: int


# At most 9 each: of ten the rule leaves one too many alone, as that is within its tolerance.
PARTS = (Part("high", 1, 2, 9), Part("mid", 2, 1, 8), Part("low", 3, 2, 9))
CAP = 14


@dataclass(frozen=True)
class Happening:
    """One thing that happened. What `kind` can be, and what else is set then:

    - asked (what: the service, number): the swarm asks for so many, as its events and listings say.
    - listed (numbers): the witness has connected anew, and asked for all of them.
    - lost: its stream has ended; until it has listed it knows nothing.
    - sent (who: the agent, what: the service, number): a new number has come by its link.
    - taken (who): a write of the lease with this agent as its holder was answered well.
    - given back (who): the same without a holder.
    - by hand (what): the driver lets a person set numbers, those of all services if it is empty.
    - fault (who: kind, what: where), over (the same): it begins, it ends.
    - agent up, agent died (who, number: its exit code).
    - disturbed, calm: a round of faults begins; all of them are over, and all nodes are ready.
    - steady (numbers: what is expected), moving: the queues stay as they are, and do not any more.
    - runs (number: seconds since steady, -1 if not in time): as much as expected.
    - load (number): of the machine, per processor, in hundredths.
    """

    t: float
    kind: str
    who: str = ""
    what: str = ""
    number: int = 0
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(eq=False)
class History:
    """All of it; several threads write."""

    happenings: list[Happening] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        kind: str,
        who: str = "",
        what: str = "",
        number: int = 0,
        numbers: Mapping[str, int] | None = None,
    ) -> None:
        with self.lock:
            self.happenings.append(Happening(time.monotonic(), kind, who, what, number, dict(numbers or {})))

    def so_far(self) -> History:
        """A copy in order of time."""
        with self.lock:
            return History(sorted(self.happenings, key=lambda h: h.t))

    def of(self, *kinds: str) -> Iterator[Happening]:
        return (h for h in self.happenings if h.kind in kinds)

    def write(self, path: Path) -> None:
        with path.open("w") as file:
            for happening in self.so_far().happenings:
                file.write(json.dumps(asdict(happening)) + "\n")


def expected(waiting: Mapping[str, int]) -> dict[str, int]:
    """What each service is to have with these queues, one container for each item: its minimum, and of the
    rest of the cap as much as it wants, the most important first."""
    left = CAP - sum(part.least for part in PARTS)
    found: dict[str, int] = {}
    for part in sorted(PARTS, key=lambda part: part.priority):
        more = min(left, max(0, min(waiting[part.name], part.most) - part.least))
        found[part.name] = part.least + more
        left -= more
    return found
