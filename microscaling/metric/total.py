"""The sum of several metrics: one worker that takes its jobs from several queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from microscaling.metric.base import LARGEST, Measurement, Metric, Source


class TotalMetric(Metric):
    """The sum of the readings of its terms (items). Each term's source is asked by itself; the engine adds up
    their answers, and has no reading while one of them fails."""

    def __init__(self, terms: Sequence[Metric]) -> None:
        self.terms = tuple(terms)
        self.interval_s = max((term.interval_s for term in terms), default=0.0)

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(source for term in self.terms for source in term.sources)

    def read(self, answer: Any) -> int | Measurement:
        """Adds up the terms, given the answers of their sources in the same order."""
        return added_up([term.read(one) for term, one in zip(self.terms, answer, strict=True)])

    def update(self) -> None:
        for term in self.terms:
            term.update()
        self.note(added_up([term.measured or term.current for term in self.terms]))


def added_up(found: Sequence[int | Measurement]) -> int | Measurement:
    """Returns the sum of valid measurements: a number only, if all are."""
    if any(isinstance(one, Measurement) for one in found):
        return Measurement.total(one if isinstance(one, Measurement) else Measurement(one) for one in found)
    # No error above the largest number: each term is a valid one.
    return min(LARGEST, sum(one for one in found if isinstance(one, int)))
