"""What every target answers."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Target(ABC):
    """Judges a reading of a task's metric. Targets may keep state: ask for one delta per reading."""

    __slots__ = ()

    @abstractmethod
    def meeting(self, current: int) -> bool:
        """Whether the task does well enough at this reading."""

    @abstractmethod
    def exceeding(self, current: int) -> bool:
        """Whether the task does so well that it could do with fewer containers."""

    @abstractmethod
    def delta(self, current: int) -> int:
        """How many containers more (fewer, if negative) the task should run at this reading."""

    def reset(self) -> None:
        """Readings were missing: what the earlier ones say of the speed of change holds no more."""

    def paced(self, beats: float) -> None:
        """The next delta is of a measurement that was taken so many beats after the one before it."""

    def works_from(self) -> int:
        """The smallest length (items) at which an empty queue makes the rule give containers back."""
        return 0

    def words(self, current: int) -> str:
        """How the task does at this reading, for logs and monitors."""
        return f"reading {current}"


def comfortable(length: int) -> int:
    """The length (items) at which a queue that should hold `length` does better than it has to.

    That is 70 % of it, rounded down as the Go agent rounds: in floating point, so 62 of 90.
    """
    return int(0.7 * length)
