"""How long to wait before trying again."""

from __future__ import annotations

import random


class Backoff:
    """Delays in seconds that double from `first` up to `most`, and stay there.

    `jitter` spreads each delay by that fraction below its value, so that many agents do not come
    back in step.
    """

    def __init__(self, first: float, most: float, jitter: float = 0.0) -> None:
        self.first = first
        self.most = most
        self.jitter = jitter
        self.tries = 0

    def next(self) -> float:
        """The delay before the next try, in seconds."""
        delay = min(self.most, self.first * 2.0 ** min(self.tries, 32))
        self.tries += 1
        chance = random.random()  # nosec B311  # so that not all come at once; nobody gains by knowing it
        return delay * (1.0 - self.jitter * chance)

    def reset(self) -> None:
        """After a success: start from `first` again."""
        self.tries = 0
