"""Queues that do not exist: the reading of one, and a hint if its name may be misspelt."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from microscaling.utils.text import few, quoted

log = logging.getLogger("mssmetric")

EMPTY, HELD = "empty", "held"
HINT_AFTER_S = 60.0
"""Seconds from the first answer to the hint; before that, workers may still be about to create their
queue."""
LIKE = 0.75
"""Minimum of difflib's ratio: "jbos" is like "jobs", and "orders" like "order"."""
MAX_ALIKE = 5
SEPARATOR = re.compile(r"[:./_#-]")


@dataclass(frozen=True)
class Absent:
    """The answer of a source without the queue; `reason` names source and queue."""

    reason: str


def alike(name: str, others: Iterable[str]) -> list[str]:
    """Returns up to five of the other names that may be meant by it, the most similar first."""
    import difflib  # only after a mistake

    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(name.casefold())
    scores: dict[str, float] = {}
    for other in {*others} - {name}:
        folded = other.casefold()
        matcher.set_seq1(folded)
        # Libraries put a prefix in front of the name: rq:queue:default.
        if folded.endswith(name.casefold()) and SEPARATOR.match(folded[-len(name) - 1 :]):
            scores[other] = 1.0
        elif matcher.real_quick_ratio() >= LIKE and matcher.quick_ratio() >= LIKE:
            scores[other] = matcher.ratio()
    best = sorted(scores, key=lambda other: (-scores[other], other))[:MAX_ALIKE]
    return [other for other in best if scores[other] >= LIKE]


class Hint:
    """Logs once, for one queue that has never existed, that another one may be meant."""

    def __init__(self, what: str, name: str) -> None:
        self.what = what
        self.name = name
        self._since: float | None = None
        self._over = False

    def is_due(self, found: bool) -> bool:
        """True, at most once, if other names should be looked up now. `found`: the queue exists."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        # A queue that has existed once has the right name, even if it disappears later.
        due = not (found or self._over) and now - self._since >= HINT_AFTER_S
        self._over = self._over or found or due
        return due

    def give_all(self, others: Iterable[str]) -> None:
        """Logs the names that there are."""
        names = sorted(others)
        there = (
            f"there {'is' if len(names) == 1 else 'are'} {few(names)}" if names else "there is none at all"
        )
        log.warning("%s %s has not existed since the start: %s", self.what, quoted(self.name), there)

    def give(self, others: Iterable[str]) -> None:
        """Logs the first of these names, if there is one."""
        for other in others:
            log.warning(
                "%s %s has not existed since the start, but %s exists: is that the right name?",
                self.what,
                quoted(self.name),
                quoted(other),
            )
            return
