"""The interfaces of a metric, one measured number, and of its source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any

from microscaling.errors import MetricError
from microscaling.metric.measurement import Measurement
from microscaling.plugins import Field, Group, Variable
from microscaling.settings import Settings
from microscaling.utils.text import one_line

__all__ = ["LARGEST", "METRICS", "Measurement", "Metric", "MetricError", "Source", "checked", "count_or_none",
           "whole_number"]  # fmt: skip

LARGEST = 2**53
"""Upper bound of a measurement: above it a number in JSON is no longer exact, and no queue is that long."""


class Source(ABC):
    """A service or file that is asked once per beat, for all metrics that read its answer."""

    key: Hashable
    """Sources with equal keys are one source: only one of them is asked."""
    name: str
    """Its name in logs, without credentials."""
    secrets: Collection[str] = ()
    """The credentials in its configuration, to be masked in logs."""

    @abstractmethod
    def fetch(self) -> Any:
        """Asks once and returns the answer for `Metric.read`; ends within a total deadline. Raises
        MetricError if there is no valid answer. Called from one thread at a time.

        Slow work (parsing) belongs here: the answer is passed to every metric of this source.
        """

    def unchanged(self) -> bool:
        """Asks if the answer of the last `fetch` still holds, where that is cheaper than to `fetch` it again.
        False: it does not, or that is not known. Raises any error; called from the thread of `fetch`."""
        return False

    news: Callable[[], None] | None = None
    """Set by an engine that can look before the next beat. A source that is told of changes calls it, from
    any thread, when a look at once would find another number."""
    cheap = False
    """True if a question costs no money, and the server next to nothing: an engine may ask between two beats,
    too, as long as the answers are quick."""
    timeout_s: float = 0.0
    """Deadline of one answer in seconds, if `limit` was called; 0: the source's own deadline."""

    def limit(self, seconds: float) -> None:
        """Sets the deadline of `fetch` in seconds."""
        self.timeout_s = seconds
        # Tasks with different limits must not share one source.
        self.key = (self.key, seconds)

    def also(self, other: Source) -> None:
        """Adds the questions of another source with an equal key to this one. Called while `fetch` may be
        under way, too, when a service comes: it replaces what that reads."""

    def check(self) -> None:
        """Checks the requirements, such as a library or an account, once and without a request. Raises
        ConfigError with everything that is missing."""

    def close(self) -> None:
        """Closes all connections; a later `fetch` opens new ones."""


class Metric(ABC):
    """One number that measures a task's load, such as the length of its queue (items).

    A metric that a configuration can name declares the class attributes below, and is found by
    microscaling.plugins.
    """

    type_name = ""
    """Its name in `metricType`."""
    summary = ""
    """The measured quantity, in a few words: "the jobs that are ready in a tube"."""
    fields: tuple[Field, ...] = ()
    """The keys of a task's `config` that select the measured quantity."""
    variables: tuple[Variable, ...] = ()
    """The environment variables that it reads, if they are not among the settings."""
    of_containers = False
    """True if it measures the task's own containers: the number falls with them, and is 0 without any."""
    may_be_missing = False
    """True if a queue that does not exist may simply be empty, so that a task may set `missing`."""

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> Metric:
        """Returns the metric for a task's `config`. `values` has every field by its key, checked and of the
        right type, and the name of the `task`. Raises ConfigError, as "key: problem" for a field."""
        raise NotImplementedError

    task: str = ""
    """The name of its task, if it has one."""
    current: int = 0
    """The number of the last good measurement that the rule gets (items); 0 before the first."""
    measured: Measurement | None = None
    """The last good measurement; None if the source gives one number only, that of the waiting jobs."""
    with_running: bool = False
    """Whether the number is that of the waiting and the running jobs: `count` in the configuration, or the
    default of the rule."""
    interval_s: float = 0.0
    """Seconds between two requests to the source; 0: one at every beat."""
    pace_s: float = 0.0
    """Seconds between two measurements of the source itself; 0: it measures when asked. Set by `read`."""
    stamp: float | None = None
    """Time of the measurement by the source's own clock (seconds); None without one. Set by `read`."""
    source: Source | None = None
    """The source of the answers; None if there is none, then `current` always counts as fresh."""
    terms: tuple[Metric, ...] = ()
    """The metrics of which it is the sum; empty for any other metric."""
    at_least: int | None = None
    """Lower bound of the measurement (items). None: a negative number is an error."""
    missing: str = "empty"
    """The reading while the queue does not exist: `empty` (0 items) or `held` (an error)."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """All sources that it needs."""
        return (self.source,) if self.source is not None else ()

    @abstractmethod
    def read(self, answer: Any) -> int | Measurement:
        """Finds this metric's value in an answer of its source, without I/O: the waiting jobs (items), or all
        that the source counts. Raises MetricError."""

    def glance(self, answer: Any) -> int | Measurement | None:
        """Finds the value in an answer between two beats, from any thread and without a trace: no log, no
        state. None: it is known at a beat only. Raises MetricError."""
        return None

    def absent(self, reason: str) -> int:
        """Returns the reading for a queue that does not exist. Raises MetricError with the reason if that is
        an error."""
        if self.missing == "held":
            raise MetricError(reason)
        return max(0, self.at_least or 0)

    @property
    def lacking(self) -> str:
        """Why a part of what it measures has no reading, though the rest has one; empty otherwise."""
        return ""

    def waits(self, activation: int) -> bool:
        """Returns whether more items wait than `activation`, by the last good measurement."""
        return self.current > activation

    def states(self) -> Sequence[Measurement]:
        """Returns the last good measurements that tell jobs by their state."""
        return () if self.measured is None else (self.measured,)

    def update(self) -> None:
        """Asks the source now and sets `current`. Raises MetricError, and then leaves `current` unchanged."""
        if self.source is not None:
            self.note(self.read(self.source.fetch()))

    def note(self, found: int | Measurement) -> None:
        """Sets `current` and `measured`."""
        self.measured = found if isinstance(found, Measurement) else None
        self.current = found.number(self.with_running) if isinstance(found, Measurement) else found


def whole_number(value: object, what: str) -> int:
    """Returns a measured value as a whole number from 0 to LARGEST. Raises MetricError, which names
    `what`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # bool is a subclass of int, but true is no count.
    if isinstance(value, bool) or not isinstance(value, int):
        raise MetricError(f"{one_line(what)}: expected a whole number, got {_shown(value)}")
    if not 0 <= value <= LARGEST:
        raise MetricError(f"{one_line(what)}: {str(value)[:24]} is out of range (0 to 2^53)")
    return value


def checked(found: Measurement) -> Measurement:
    """Returns a measurement of which every count is a valid one. Raises MetricError."""
    counts = {"waiting": found.waiting, "running": found.running or 0}
    for what, count in {**counts, "stuck": found.stuck, "future": found.future}.items():
        whole_number(count, what)
    return found


def _shown(value: object) -> str:
    """Formats a value as JSON has it, in at most 40 characters."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else f"{value!r:.40}"


def count_or_none(value: object) -> int | None:
    """Returns a secondary count of a source; None if it is missing or is no whole number."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST:
        return value
    return None


def _is_metric(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, Metric) and bool(found.type_name)


METRICS: Group[type[Metric]] = Group("metric", "microscaling.metric", _is_metric)
"""All metrics by their `metricType`."""
