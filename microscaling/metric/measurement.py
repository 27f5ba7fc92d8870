"""A measurement: the jobs of a task by their state, with one meaning for all sources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

WAITING, WITH_RUNNING = "waiting", "waiting+running"
"""The values of `count`: the jobs of which a rule gets the number."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The jobs of a task (items), as its source counted them at one moment."""

    waiting: int
    """Jobs that may run now: those whose time has come, in whichever state the source has them. While the
    source is paused, those that wait for its end."""
    running: int | None = None
    """Jobs being worked on, or taken by a worker; None: the source does not count them."""
    stuck: int = 0
    """Jobs of workers that are gone. Only a live worker brings them back."""
    future: int = 0
    """Jobs whose time has not come; no rule counts them."""
    paused: bool = False
    """No worker gets a job at present."""
    oldest_age_s: float | None = None
    """Age of the oldest waiting job (seconds); None: not known."""
    arrived: int | None = None
    finished: int | None = None
    """Jobs since the beginning of the counter, which only rises; None: the source has no counter."""
    exact: bool = True
    """False if the source only estimates its numbers."""
    age_s: float = 0.0
    """Age of the numbers when the source gave them (seconds)."""

    def number(self, with_running: bool) -> int:
        """Returns the number for a rule: the jobs that wait, and those that run if it counts them."""
        waiting = 0 if self.paused else self.waiting
        return waiting + (self.running or 0) if with_running else waiting

    def words(self, number: int) -> str:
        """Describes everything beyond the number of the rule: "3 waiting, 2 running, 7 future"; empty if
        there is nothing."""
        counts = {"waiting": self.waiting if self.waiting != number else 0, "running": self.running or 0}
        counts |= {"stuck": self.stuck, "future": self.future}
        found = [f"{count} {state}" for state, count in counts.items() if count]
        return ", ".join(found + ["paused"] * self.paused)

    @classmethod
    def total(cls, terms: Iterable[Measurement]) -> Measurement:
        """Returns the sum of several sources; a counter that one of them lacks is missing in the sum."""
        terms = list(terms)
        paused = all(term.paused for term in terms)
        ages = [term.oldest_age_s for term in terms if term.oldest_age_s is not None]
        return cls(
            # The jobs of a source that is paused by itself cannot run now.
            waiting=sum(term.waiting for term in terms if paused or not term.paused),
            running=_of_those_that_count([term.running for term in terms]),
            stuck=sum(term.stuck for term in terms),
            future=sum(term.future for term in terms),
            paused=paused,
            oldest_age_s=max(ages, default=None),
            arrived=_of_all([term.arrived for term in terms]),
            finished=_of_all([term.finished for term in terms]),
            exact=all(term.exact for term in terms),
            age_s=max((term.age_s for term in terms), default=0.0),
        )


def _of_those_that_count(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _of_all(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
