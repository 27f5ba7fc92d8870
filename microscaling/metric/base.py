"""What a measurement is, and where it comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Mapping
from typing import Any

from microscaling.errors import MetricError
from microscaling.plugins import Field, Group, Variable
from microscaling.settings import Settings
from microscaling.utils.text import one_line

__all__ = ["LARGEST", "METRICS", "Metric", "MetricError", "Source", "count_or_none", "whole_number"]

LARGEST = 2**53
"""Above this a number in JSON is no longer exact, and no queue is that long: out of range."""


class Source(ABC):
    """Something outside that is asked once per beat, for all the metrics that look at it."""

    key: Hashable
    """Sources of equal keys are one source: only one of them is asked."""
    name: str
    """For logs, so without credentials."""
    secrets: Collection[str] = ()
    """What it needs to ask, and nobody may see."""

    @abstractmethod
    def fetch(self) -> Any:
        """Asks once; ends within a total deadline. Raises MetricError if there is no valid answer.

        Called from one thread at a time. The answer is given to `Metric.read` of every metric, so
        what takes long (parsing) is done here.
        """

    timeout_s: float = 0.0
    """Seconds that an answer may take, if `limit` has said so; 0: the source's own deadline."""

    def limit(self, seconds: float) -> None:
        """From now on `fetch` ends within so many seconds. A source with a limit is not shared with tasks
        that have another."""
        self.timeout_s = seconds
        self.key = (self.key, seconds)

    def also(self, other: Source) -> None:
        """From now on this one is asked for the other as well, whose key is equal."""

    def check(self) -> None:
        """Looks, once and without asking anybody, whether all is there that asking needs: a library,
        an account. Raises ConfigError that names what is missing."""

    def close(self) -> None:
        """Lets go of connections; a later `fetch` opens new ones."""


class Metric(ABC):
    """One number that says how a task does, such as the length of its queue (items).

    A metric that a configuration can name declares the class attributes below, and is found as
    microscaling.plugins says.
    """

    type_name = ""
    """What `metricType` calls it."""
    summary = ""
    """What is measured, in a few words: "the jobs that are ready in a tube"."""
    fields: tuple[Field, ...] = ()
    """The keys of a task's `config` that say what to measure."""
    variables: tuple[Variable, ...] = ()
    """The environment variables that it reads, if they are not among the settings."""
    may_be_missing = False
    """Whether a queue that does not exist may well be an empty one, so that a task may say `missing`."""

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> Metric:
        """The metric that a task's config describes. `values` has every field by its key, of the right type
        and checked. Raises ConfigError; "key: what is wrong" if it is about a field."""
        raise NotImplementedError

    current: int = 0
    """The last good measurement; 0 before the first."""
    in_flight: int | None = None
    """How many jobs are being worked on (items), by the last answer; None: the source does not say. Set by
    `read`."""
    interval_s: float = 0.0
    """Seconds between two questions to the source; 0: it is asked at every beat."""
    pace_s: float = 0.0
    """Seconds between two measurements of the source itself; 0: it measures when asked. Set by `read`."""
    stamp: float | None = None
    """When the source says that it measured the value (seconds, its own clock). Set by `read`."""
    source: Source | None = None
    """What to ask; None if there is nothing to ask, then `current` always counts as fresh."""
    at_least: int | None = None
    """Items: what is measured counts as no fewer than these. None: a negative number is an error."""
    missing: str = "empty"
    """What counts while the queue does not exist: `empty` (0 items), or `held` (an error)."""

    @abstractmethod
    def read(self, answer: Any) -> int:
        """Finds this metric's value in its source's answer: no I/O. Raises MetricError."""

    def absent(self, reason: str) -> int:
        """What to read from an answer that there is no such queue. Raises MetricError."""
        if self.missing == "held":
            raise MetricError(reason)
        return max(0, self.at_least or 0)

    def update(self) -> None:
        """Asks the source now and sets `current`. Raises MetricError, and then keeps `current`."""
        if self.source is not None:
            self.current = self.read(self.source.fetch())


def whole_number(value: object, what: str) -> int:
    """A measured value as the whole number from 0 to LARGEST that it has to be, or MetricError, which
    names `what` it is."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise MetricError(f"{one_line(what)}: expected a whole number, got {_shown(value)}")
    if not 0 <= value <= LARGEST:
        raise MetricError(f"{one_line(what)}: {str(value)[:24]} is out of range (0 to 2^53)")
    return value


def _shown(value: object) -> str:
    """As JSON has it, and at most 40 characters."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else f"{value!r:.40}"


def count_or_none(value: object) -> int | None:
    """A count that a source may give besides the value: None if it does not, or gives no whole number."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST:
        return value
    return None


def _is_metric(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, Metric) and bool(found.type_name)


METRICS: Group[type[Metric]] = Group("metric", "microscaling.metric", _is_metric)
"""By metricType."""
