"""A counter of jobs that is made of those of several servers, partitions or lives of a queue."""

from __future__ import annotations

from collections.abc import Hashable, Mapping


class Counter:
    """The sum of counters that only rise.

    A server that is started again begins anew at 0, and another one may come or go: then the sum is missing
    once, so that no rule takes the difference for jobs.
    """

    def __init__(self) -> None:
        self._last: dict[Hashable, int] | None = None

    def total(self, parts: Mapping[Hashable, int | None]) -> int | None:
        """Returns the sum of the counters by their keys; None if one of them is not known, or is not the one
        that it was at the last call."""
        known = {key: count for key, count in parts.items() if count is not None}
        last, self._last = self._last, known
        if not known or len(known) < len(parts):
            self._last = None
            return None
        # A restart may hide behind the rise of another part, so each is compared by itself.
        begun_anew = last is not None and (
            last.keys() != known.keys() or any(known[key] < last[key] for key in known)
        )
        return None if begun_anew else sum(known.values())
