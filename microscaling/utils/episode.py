"""Saying once that something fails, and once that it is well again."""

from __future__ import annotations

QUIET_S = 30.0


class Episode:
    """Whether one thing fails, and whether that has been said.

    Each failure is told when it begins and when it is over, but none within `quiet_s` seconds of
    the last one told: what fails every other second would fill the log. One that begins in that
    time and lasts is told when the time is up.
    """

    def __init__(self, quiet_s: float = QUIET_S) -> None:
        self.quiet_s = quiet_s
        self.failing = False
        self._told = False
        self._quiet_until = float("-inf")

    def fails(self, now: float) -> bool:
        """It fails at `now` (seconds, any clock that never goes back). True: say so."""
        if not self.failing:
            self.failing = True
            self._told = False
        if self._told or now < self._quiet_until:
            return False
        self._told = True
        self._quiet_until = now + self.quiet_s
        return True

    def works(self) -> bool:
        """It works. True: say that it does again."""
        say = self.failing and self._told
        self.failing = False
        return say
