"""What came of a run of the demo, and whether it showed what it is there to show."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.demo.jobs import Jobs
from scripts.demo.load import Change, Load, changes
from scripts.demo.record import Moment, Record

HANDED = 3
"""Containers that have to change hands before it counts as a hand-over."""
BUSY = 2.0
"""Threads per core above which other work slows the demo down."""


@dataclass(frozen=True)
class HandOver:
    """Containers that went from one task to another after the load had changed; times in seconds."""

    change: Change
    count: int
    first_s: float
    """From the change of the load to the first container more."""
    all_s: float
    """To the last."""

    def __str__(self) -> str:
        when = f"the first {self.first_s:.1f} s after its load changed, the last {self.all_s:.1f} s"
        return f"{self.count}: {when}"


def hand_overs(record: Record) -> list[HandOver]:
    """Every one that was seen, in order."""
    last = record.moments[-1].at if record.moments else 0.0
    found = []
    for change in changes(last):
        moments = [m for m in record.moments if change.at <= m.at < change.until]
        if moments and (one := _hand_over(moments, change)):
            found.append(one)
    return found


def _hand_over(moments: list[Moment], change: Change) -> HandOver | None:
    had = [m.of(change.taker).running for m in moments]
    gave = [m.of(change.giver).running for m in moments]
    most = max(had)
    if most - had[0] < HANDED or gave[0] - min(gave) < HANDED:
        return None
    first = next(m.at for m, n in zip(moments, had, strict=True) if n > had[0])
    full = next(m.at for m, n in zip(moments, had, strict=True) if n == most)
    return HandOver(change, most - had[0], first - change.at, full - change.at)


def summary(record: Record, load: Load, jobs: Jobs, seconds: float, left: list[str]) -> str:
    """In a few lines."""
    queues = [f"{queue} {jobs.taken(queue)} of {put}" for queue, put in load.put.items() if queue != "batch"]
    rows = [
        ("decisions", f"{record.decisions} in {seconds:.0f} s"),
        ("most at once", f"{record.most} {record.noun}, the cap is {record.cap}"),
        ("jobs taken", ", ".join([*queues, f"batch {jobs.taken('batch')}"])),
        *[(f"{one.change.giver} → {one.change.taker}", str(one)) for one in hand_overs(record)],
        ("left behind", ", ".join(left) or "nothing"),
    ]
    return "\n".join(f"{name:<17} {value}" for name, value in rows)


def failures(record: Record, left: list[str], exit_code: int | None) -> list[str]:
    """Why the run was not what it should have been, however busy the machine; empty: it was."""
    said = []
    if record.most > record.cap:
        said.append(f"{record.most} {record.noun} ran at once, the cap is {record.cap}")
    if left:
        said.append(f"left behind: {', '.join(left)}")
    if exit_code != 0:
        said.append(f"the agent ended with code {exit_code}")
    return said


def overdue(record: Record, due: list[Change]) -> list[str]:
    """Hand-overs that were due, and have not been seen."""
    seen = [one.change for one in hand_overs(record)]
    return [
        f"{change.giver} did not give way to {change.taker} after {change.at:.1f} s"
        for change in due
        if change not in seen
    ]


def excuse(slow_s: float, load: float, cores: int) -> str:
    """How a busy machine explains an overdue hand-over; empty: it is not busy. `load`: threads that run or
    wait."""
    return f"slower than {slow_s:g} s: load {load:.0f} on {cores} cores" if load > BUSY * cores else ""
