"""The sum of several metrics: one worker that takes its jobs from several queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from microscaling.metric.base import LARGEST, Metric, Source


class TotalMetric(Metric):
    """The sum of the readings of its terms (items). Each term's source is asked by itself; the engine adds up
    their answers, and has no reading while one of them fails."""

    def __init__(self, terms: Sequence[Metric]) -> None:
        self.terms = tuple(terms)
        self.interval_s = max((term.interval_s for term in terms), default=0.0)

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(source for term in self.terms for source in term.sources)

    @property
    def in_flight(self) -> int | None:  # type: ignore[override]
        """Jobs being worked on (items), of all terms that count them; None if none does."""
        counts = [term.in_flight for term in self.terms if term.in_flight is not None]
        return sum(counts) if counts else None

    def read(self, answer: Any) -> int:
        """Adds up the terms, given the answers of their sources in the same order."""
        # No error above the largest number: each term is a valid one.
        return min(LARGEST, sum(term.read(one) for term, one in zip(self.terms, answer, strict=True)))

    def update(self) -> None:
        for term in self.terms:
            term.update()
        self.current = min(LARGEST, sum(term.current for term in self.terms))
