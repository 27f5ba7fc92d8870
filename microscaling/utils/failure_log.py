"""Saying once that something fails, and once that it is well again."""

from __future__ import annotations

QUIET_S = 30.0
MAX_CAUSES = 3


class FailureLog:
    """Whether one thing fails, and whether that has been said.

    Each failure is told when it begins and when it is over, but none within `quiet_s` seconds of
    the last one told: what fails every other second would fill the log. One that begins in that
    time and lasts is told when the time is up. A cause that was not told in that time is told at
    once, up to MAX_CAUSES of them.
    """

    def __init__(self, quiet_s: float = QUIET_S) -> None:
        self.quiet_s = quiet_s
        self.failing = False
        self._told: str | None = None
        """The cause that was told last of this failure; None: it was not told yet."""
        self._causes: set[str] = set()
        """All that were told in the quiet time."""
        self._quiet_until = float("-inf")

    def failed(self, now: float, cause: str = "") -> bool:
        """It fails at `now` (seconds, any clock that never goes back). True: say so."""
        if not self.failing:
            self.failing = True
            self._told = None
        if self._told == cause:
            return False
        if now >= self._quiet_until:
            self._causes = set()
            self._quiet_until = now + self.quiet_s
        elif cause in self._causes or len(self._causes) >= MAX_CAUSES:
            return False
        self._told = cause
        self._causes.add(cause)
        return True

    def recovered(self) -> bool:
        """It works. True: say that it does again."""
        say = self.failing and self._told is not None
        self.failing = False
        return say
