"""The belief of the rule `Wait` in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """The belief at the moment of a decision. Rates in jobs per second."""

    arrivals: float
    rate: float
    """Jobs per second that one container does."""
    may_wait: int
    """Items that may wait."""
    wish: int
    """The containers that the rule wants."""

    def words(self, current: int) -> str:
        """Describes a reading, the belief and the wish."""
        return (
            f"queue {current}: {per_time(self.arrivals)} come, one does {per_time(self.rate)}, "
            f"{self.may_wait} may wait: {self.wish}"
        )


@dataclass(frozen=True, slots=True)
class Learned:
    """What the rule has learned, and its promise against what was measured. Seconds, and jobs per second."""

    promise_s: float
    arrivals: float | None
    """None, as the next two: nothing is known yet."""
    rate: float | None
    """Jobs per second that one container does."""
    may_wait: int | None
    """Items that may wait."""
    wait_s: float | None
    """How long an item waits now; None: not known yet."""
    exact: bool
    """True if the source tells the age of its oldest job; otherwise the wait follows from the queue's lengths
    and from `rate`."""
    longest_s: float
    """The longest wait of the last ten minutes."""
    kept: float
    """Part of the last ten minutes in which the promise was kept."""


def per_time(rate: float) -> str:
    """Describes a rate (per second): 12.4/s, 3.1/min, 0.5/h."""
    for unit, seconds in (("s", 1), ("min", 60), ("h", 3600)):
        if rate * seconds >= 1 or unit == "h":
            return f"{rate * seconds:.{0 if rate * seconds >= 100 else 1}f}/{unit}"
    raise AssertionError
