"""Rate limit for log lines about a failure: one at its begin, one at its end."""

from __future__ import annotations

QUIET_S = 30.0
MAX_CAUSES = 3


class FailureLog:
    """Decides which failures and recoveries of one thing are worth a log line.

    A failure is logged when it begins and when it ends, but at most one per cause within `quiet_s`
    seconds. A failure that begins in the quiet time and lasts is logged at its end. New causes are
    logged at once, up to MAX_CAUSES in one quiet time.
    """

    def __init__(self, quiet_s: float = QUIET_S) -> None:
        self.quiet_s = quiet_s
        self.failing = False
        self._told: str | None = None
        """The last logged cause of the present failure; None: not logged yet."""
        self._causes: set[str] = set()
        """All causes logged in the present quiet time."""
        self._quiet_until = float("-inf")

    def failed(self, now: float, cause: str = "") -> bool:
        """Records a failure at `now` (seconds of a monotonic clock). Returns whether to log it."""
        if not self.failing:
            self.failing = True
            self._told = None
        if self._told == cause:
            return False
        if now >= self._quiet_until:
            self._causes = set()
            self._quiet_until = now + self.quiet_s
        elif cause in self._causes or len(self._causes) >= MAX_CAUSES:
            return False  # a failure that comes and goes every other second would fill the log
        self._told = cause
        self._causes.add(cause)
        return True

    def recovered(self) -> bool:
        """Records a success. Returns whether to log the recovery, which is so if its failure was logged."""
        say = self.failing and self._told is not None
        self.failing = False
        return say
