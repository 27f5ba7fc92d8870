"""The interface of a rule: the number of containers a task should have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from microscaling.metric.measurement import Measurement
from microscaling.plugins import Field, Group
from microscaling.settings import Settings
from microscaling.target.told import Learned

__all__ = ["LENGTH", "RULES", "Observation", "Target", "comfortable"]


@dataclass(slots=True)
class Observation:
    """The facts about a task at the moment of a decision. Counts are containers."""

    current: int
    """The reading (items)."""
    running: int
    """The running containers that are to stay, and those that will run as soon as there is a place."""
    requested: int
    """The containers the scheduler has asked the backend for."""
    seconds: float
    """Time between the last two measurements of the source."""
    measured: Measurement | None = None
    """The jobs by their state, of which `current` is a part; None if the source gives one number only."""
    now: float = 0.0
    """Time of the decision, monotonic seconds."""
    measured_at: float | None = None
    """Time of the reading, monotonic seconds; None if it was set by hand."""


class Worded(Protocol):
    """Describes a reading."""

    def words(self, current: int) -> str:
        """Describes the reading for logs and monitors."""
        ...


class Target:
    """A rule: decides from the facts about a task. It may keep state, so it is called once per reading.

    A rule overrides `decide`. The rules of the Go agent override `meeting`, `exceeding` and `delta` instead,
    which get the reading only. A rule that a configuration can name declares the class attributes below, and
    is found by microscaling.plugins.
    """

    __slots__ = ()

    type_name = ""
    """Its name in `ruleType`."""
    summary = ""
    """The containers the task gets, in a few words, for people."""
    fields: tuple[Field, ...] = ()
    """The keys of a task's `config` that it reads."""
    measures = True
    """True if it needs a metric; otherwise it never gets a reading."""
    with_running = False
    """Whether its number is by default that of the waiting and the running jobs, not of the waiting ones
    alone."""
    absolute = False
    """True if its number does not depend on the containers that run, so that a task may move again while
    some of them start."""
    by_delta = True
    """True if it uses the reading only."""
    rules: tuple[Target, ...] = ()
    """The rules of which it takes the greatest wish, each for a metric of its own; empty: it is one rule."""

    def __init_subclass__(cls) -> None:
        # An Observation for each of thousands of tasks would cost time in every beat; these rules need none.
        cls.by_delta = cls.decide is Target.decide

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> Target:
        """Returns the rule for a task's `config`. `values` has every field by its key, checked and of the
        right type, and the task's minContainers and maxContainers. Raises ConfigError, as "key: problem" for
        a field."""
        raise NotImplementedError

    def decide(self, seen: Observation) -> int:
        """Returns how many containers the task needs, caps and other tasks aside; may be negative."""
        return seen.running + self.delta(seen.current)

    def meeting(self, current: int) -> bool:
        """True if the task does well enough at this reading: it gets no more containers then."""
        return False

    def exceeding(self, current: int) -> bool:
        """True if the task does well enough at this reading to give containers back."""
        return True

    def delta(self, current: int) -> int:
        """Returns how many containers more (fewer, if negative) the task should run at this reading."""
        raise NotImplementedError

    def steady(self, current: int, running: int) -> int | None:
        """Returns the change of `running` containers that the rule wants at a reading that does not move,
        without any effect on its state; None if the reading and the containers alone do not say. It must not
        fall while `current` rises."""
        return None

    def reset(self) -> None:
        """Drops the state about the speed of change; called after a gap in the readings."""

    def paced(self, beats: float) -> None:
        """Sets the time between the next measurement and the one before it, in beats."""

    def aim(self, length: int) -> None:
        """Changes the target length (items) of a rule that has one; its state stays."""

    def works_from(self) -> int:
        """Returns the smallest target length (items) for which an empty queue makes the rule give containers
        back."""
        return 0

    def patience_s(self) -> float:
        """Returns for how long (seconds) a queue has to be empty, at least, before all its containers are
        given back, minimum aside."""
        return 0.0

    def learned(self) -> Learned | None:
        """Returns what the rule has learned about its queue; None for a rule that does not learn."""
        return None

    def at_this_moment(self) -> Worded:
        """Returns the object that describes a reading as the rule sees it now, for the reason of a change; a
        rule that learns will see it in another way later."""
        return self

    def words(self, current: int) -> str:
        """Describes the reading for logs and monitors."""
        return f"reading {current}"


def comfortable(length: int) -> int:
    """Returns the length (items) at which a queue with the target `length` is well below it: 70 %, rounded
    down."""
    # In floating point, as the Go agent rounds: 62 for 90, not 63.
    return int(0.7 * length)


def _is_rule(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, Target) and bool(found.type_name)


LENGTH = Field("targetQueueLength", "Target length", kind="whole", least=0, hint="items that may wait")
"""The field of the Go agent's rules."""
RULES: Group[type[Target]] = Group("rule", "microscaling.target", _is_rule)
"""All rules by their `ruleType`."""
