"""A queue that does not exist: what it counts as, and whether its name may be misspelt."""

from __future__ import annotations

import difflib
import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from microscaling.utils.text import quoted

log = logging.getLogger("mssmetric")

EMPTY, HELD = "empty", "held"
HINT_AFTER_S = 60.0
"""Seconds after the first answer. Before that workers may still be about to make their queue."""
LIKE = 0.75
"""difflib's ratio: "jbos" is like "jobs", and "orders" like "order"."""
MAX_ALIKE = 5
SEPARATOR = re.compile(r"[:./_#-]")


@dataclass(frozen=True)
class Absent:
    """The answer of a source that has no such queue; `reason` names source and queue."""

    reason: str


def alike(name: str, others: Iterable[str]) -> list[str]:
    """Those of the other names that may be meant by it, the most similar first; at most five. Also those
    that it is the end of, as libraries put a prefix in front: rq:queue:default."""
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(name.casefold())
    scores: dict[str, float] = {}
    for other in {*others} - {name}:
        folded = other.casefold()
        matcher.set_seq1(folded)
        if folded.endswith(name.casefold()) and SEPARATOR.match(folded[-len(name) - 1 :]):
            scores[other] = 1.0
        elif matcher.real_quick_ratio() >= LIKE and matcher.quick_ratio() >= LIKE:
            scores[other] = matcher.ratio()
    best = sorted(scores, key=lambda other: (-scores[other], other))[:MAX_ALIKE]
    return [other for other in best if scores[other] >= LIKE]


class Hint:
    """For one queue: says once that another one may be meant, if this one has never been there."""

    def __init__(self, what: str, name: str) -> None:
        self.what = what
        self.name = name
        self._since: float | None = None
        self._over = False

    def is_due(self, found: bool) -> bool:
        """Whether to look for other names now; at most once. `found`: whether the queue is there."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        # Once it has been there its name is right, however empty it becomes.
        due = not (found or self._over) and now - self._since >= HINT_AFTER_S
        self._over = self._over or found or due
        return due

    def give(self, others: Iterable[str]) -> None:
        """Names the first of these, if there is one."""
        for other in others:
            log.warning(
                "%s %s has not been there since the start; there is %s: is that the one?",
                self.what,
                quoted(self.name),
                quoted(other),
            )
            return
