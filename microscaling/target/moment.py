"""A queue at one moment, and the interval between two of them."""

from __future__ import annotations

from dataclasses import dataclass

from microscaling.metric.measurement import Measurement
from microscaling.target.belief import Interval


@dataclass(frozen=True, slots=True)
class Moment:
    """The jobs of a queue at one time (seconds). None: the source does not count them."""

    at: float
    waiting: int
    running: int | None = None
    arrived: int | None = None
    finished: int | None = None

    @classmethod
    def of(cls, at: float, waiting: int, jobs: Measurement | None) -> Moment:
        """Returns the moment of a reading."""
        if jobs is None:
            return cls(at, waiting)
        return cls(at, waiting, jobs.running, jobs.arrived, jobs.finished)


def between(begin: Moment, end: Moment, served: float, started: int, changed: float) -> Interval:
    """Returns the interval between two moments. `served`, `changed`: container-seconds, and those of them
    that are not sure; `started`: containers that began in it."""
    seconds = end.at - begin.at
    at_work = None
    if begin.running is not None and end.running is not None:
        # A source may count the jobs that containers have only fetched ahead as running: one works on one.
        at_work = min((begin.running + end.running) / 2 * seconds, served + changed)
    arrived, finished = _rise(begin.arrived, end.arrived), _rise(begin.finished, end.finished)
    if arrived is None and at_work is not None and finished is not None:
        arrived = end.waiting + (end.running or 0) - begin.waiting - (begin.running or 0) + finished
    if finished is None and at_work is not None and arrived is not None:
        finished = begin.waiting + (begin.running or 0) + arrived - end.waiting - (end.running or 0)
    return Interval(
        seconds,
        begin.waiting,
        end.waiting,
        served,
        started,
        changed,
        None if arrived is None else max(0, arrived),
        None if finished is None else max(0, finished),
        at_work,
        (end.running or 0) - (begin.running or 0),
    )


def _rise(before: int | None, after: int | None) -> int | None:
    """Returns the rise of a counter; None without one, or if it has begun anew."""
    # A counter begins anew when its source is started again.
    return None if before is None or after is None or after < before else after - before
