"""What every rule answers: how many containers a task should have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from microscaling.plugins import Field, Group
from microscaling.settings import Settings

__all__ = ["LENGTH", "RULES", "Observation", "Target", "comfortable"]


@dataclass(slots=True)
class Observation:
    """What is known of a task when it is decided on. Counts are containers."""

    current: int
    """The reading (items)."""
    running: int
    """What runs and is to stay, or will run as soon as there is a place for it."""
    requested: int
    """What the scheduler has asked for."""
    seconds: float
    """Between the last two measurements of the source."""
    in_flight: int | None = None
    """How many jobs are being worked on (items); None: the source does not say."""


class Target:
    """A rule: judges what is known of a task. Targets may keep state: ask for one decision per reading.

    A rule overrides `decide`; or, as the Go agent's rules do, `meeting`, `exceeding` and `delta`, which
    know the reading only. A rule that a configuration can name declares the class attributes below, and is
    found as microscaling.plugins says.
    """

    __slots__ = ()

    type_name = ""
    """What `ruleType` calls it."""
    summary = ""
    """What the task gets, in a few words: "what its queue needs"."""
    fields: tuple[Field, ...] = ()
    """The keys of a task's `config` that it reads."""
    measures = True
    """Whether it wants a metric; else it never sees a reading."""
    by_delta = True
    """Whether it knows the reading only. Thousands of such tasks are decided on without an `Observation`."""

    def __init_subclass__(cls) -> None:
        cls.by_delta = cls.decide is Target.decide

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> Target:
        """The rule that a task's config describes. `values` has every field by its key, of the right type
        and checked, and the task's minContainers and maxContainers. Raises ConfigError; "key: what is
        wrong" if it is about a field."""
        raise NotImplementedError

    def decide(self, seen: Observation) -> int:
        """How many containers the task would have, caps and other tasks aside; may be negative."""
        return seen.running + self.delta(seen.current)

    def meeting(self, current: int) -> bool:
        """Whether the task does well enough at this reading, so that it gets no more whatever was decided."""
        return False

    def exceeding(self, current: int) -> bool:
        """Whether the task does so well that it may have fewer, if that was decided."""
        return True

    def delta(self, current: int) -> int:
        """How many containers more (fewer, if negative) the task should run at this reading."""
        raise NotImplementedError

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


def _is_rule(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, Target) and bool(found.type_name)


LENGTH = Field("targetQueueLength", "Target length", kind="whole", least=0, hint="items that may wait")
"""Of the Go agent's rules."""
RULES: Group[type[Target]] = Group("rule", "microscaling.target", _is_rule)
"""By ruleType."""
