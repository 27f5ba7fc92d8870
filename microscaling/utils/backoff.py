"""Growing delays between retries."""

from __future__ import annotations

import random


class Backoff:
    """Delays in seconds that double from `first` up to `most`, and stay there.

    `jitter` is the largest fraction by which a delay is shortened at random (0: never).
    """

    def __init__(self, first: float, most: float, jitter: float = 0.0) -> None:
        self.first = first
        self.most = most
        self.jitter = jitter
        self.tries = 0

    def next(self) -> float:
        """Returns the delay before the next try, in seconds."""
        # The exponent is capped because 2.0 ** 1024 would overflow after many tries.
        delay = min(self.most, self.first * 2.0 ** min(self.tries, 32))
        self.tries += 1
        # Without jitter, agents that lost the same server at once would all return in step.
        chance = random.random()  # nosec B311  # knowing it is of no use to an attacker
        return delay * (1.0 - self.jitter * chance)

    def reset(self) -> None:
        """Starts from `first` again, after a success."""
        self.tries = 0
