"""The metrics, by the conventions of Prometheus and OpenMetrics: names, units, labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from microscaling.demand.tally import Histogram
from microscaling.demand.tasks import Tasks
from microscaling.engine.base import Counts, Engine
from microscaling.telemetry.snapshot import Snapshot, TaskNow, snapshot
from microscaling.utils.text import clean
from microscaling.watch.warnings import KINDS

AGENT = {
    "cap": "Containers that all tasks share.",
    "free": "Places under the cap that no task has asked for.",
    "occupied": "Places under the cap of containers that do not stop.",
    "outside": "Places under the cap of containers of tasks that are no more.",
}
COUNTS = {
    "wanted": "Containers that the rule of the task asks for, within its minimum and maximum.",
    "demand": "Containers that were decided for the task.",
    "requested": "Containers that the scheduler has asked for, without those being stopped.",
    "running": "Containers that run, with those being stopped.",
    "stopping": "Containers that are being stopped.",
    "draining": "Containers that are at work for the last time.",
    "frozen": "Frozen containers, which take no places under the cap.",
    "busy": "Containers at work, while they are looked at.",
    "min": "The fewest containers of the task.",
    "max": "The most containers of the task.",
}
CONDITIONS = ("held", "fallback", "backoff", "paused", "pinned", "resting", "maximum", "short")
"""The states that last; to start and to stop shows in the counts."""

Values = Iterable[tuple[tuple[str, ...], float]]


class AgentCollector(Collector):
    """Reads the agent at each scrape. `about`: version and settings, for the build info."""

    def __init__(self, tasks: Tasks, engine: Engine, about: Mapping[str, str]) -> None:
        self.tasks = tasks
        self.engine = engine
        self.about = about
        self.process = ProcessCollector(registry=None)
        """Processor time, memory and open files of this process."""

    def collect(self) -> Iterator[Metric]:
        """Yields all metrics, with no lock held."""
        yield from families(snapshot(self.tasks), self.engine.counts(), self.about)
        yield from self.process.collect()


def families(told: Snapshot, counts: Counts, about: Mapping[str, str]) -> Iterator[Metric]:
    """Yields all metrics. `about`: version and settings, for the build info."""
    yield InfoMetricFamily("microscaling_build", "Version and settings of the agent.", value=dict(about))
    for name, count in told.agent.items():
        yield GaugeMetricFamily(f"microscaling_{name}_containers", AGENT[name], value=count)
    yield GaugeMetricFamily("microscaling_hold", "1 while no decision may be made.", value=told.hold)
    yield CounterMetricFamily("microscaling_beats", "Beats: measurements and decisions.", value=counts.beats)
    yield CounterMetricFamily(
        "microscaling_beats_skipped", "Beats that were left out, as the agent was too busy.",
        value=counts.skipped,
    )  # fmt: skip
    yield from _tasks(told.tasks)
    yield from _work(told)
    yield from _sources(counts)


def _tasks(tasks: list[TaskNow]) -> Iterator[Metric]:
    for name, meaning in COUNTS.items():
        there = (((t.name,), t.counts[name]) for t in tasks if name in t.counts)
        yield _gauge(f"task_{name}_containers", meaning, there)
    yield _gauge("task_priority", "Priority of the task: 1 comes before 2.", _of(tasks, lambda t: t.priority))
    yield _gauge("task_reading_items", "The number that the rule gets.", _of(tasks, lambda t: t.reading))
    yield _gauge("task_target_items", "Target of the rule.", _of(tasks, lambda t: t.target))
    yield _gauge("task_reading_age_seconds", "Age of the last reading.", _of(tasks, lambda t: t.age_s))
    yield _gauge("task_oldest_job_age_seconds", "Age of the oldest waiting job, if the source tells it.",
                 _of(tasks, lambda t: t.oldest_s))  # fmt: skip
    yield _gauge("task_warm_memory_bytes", "Memory of the warm containers, as far as it is known.",
                 _of(tasks, lambda t: t.warm_bytes))  # fmt: skip
    jobs = (((t.name, state), count) for t in tasks for state, count in t.jobs.items())
    yield _gauge("task_jobs", "Jobs by their state, if the source tells it.", jobs, "state")
    holds = (((t.name, name), t.conditions[name]) for t in tasks for name in CONDITIONS)
    yield _gauge("task_condition", "1 while the task is in this condition.", holds, "condition")
    warned = (((t.name, kind), kind in t.warnings) for t in tasks for kind in KINDS)
    yield _gauge("task_warning", "1 while the agent warns of this about the task.", warned, "warning")


def _work(told: Snapshot) -> Iterator[Metric]:
    here = {task.name for task in told.tasks}
    decisions = [(key, count) for key, count in told.decisions.items() if key[0] in here]
    yield _counter(
        "task_decisions", "Changes of demand, by the rule that made them.", decisions, "rule", "direction"
    )
    # Counters of tasks that are no more would stay for ever, and their names with them.
    operations = [
        ((name, work, "ok" if ok else "error"), count)
        for (name, work, ok), count in told.operations.items()
        if name in here
    ]
    yield _counter("task_operations", "Calls to the engine or orchestrator.", operations,
                   "operation", "outcome")  # fmt: skip
    # From 0 on, so that the first failure is a rise.
    failures = [((name,), told.failures.get(name, 0)) for name in sorted(here)]
    yield _counter("task_failures", "Containers that did not start, or ended too soon.", failures)
    made = HistogramMetricFamily(
        "microscaling_operation_duration_seconds",
        "Duration of the successful calls; of a stop, with its grace.",
        labels=["operation"],
    )
    for work, histogram in sorted(told.durations.items()):
        made.add_metric([work], _buckets(histogram), histogram.sum)
    yield made
    yield HistogramMetricFamily(
        "microscaling_reaction_duration_seconds",
        "From a reading that called for more containers until they ran.",
        buckets=_buckets(told.reaction),
        sum_value=told.reaction.sum,
    )


def _sources(counts: Counts) -> Iterator[Metric]:
    # Two sources may differ only in credentials, and a series may be there only once.
    sums: dict[str, list[float]] = {}
    for source in counts.sources:
        of_name = sums.setdefault(source.name, [0, 0, 0.0])
        for i, more in enumerate((source.answers, source.errors, source.seconds)):
            of_name[i] += more
    answers = SummaryMetricFamily(
        "microscaling_source_request_duration_seconds", "Requests to a source.", labels=["source"]
    )
    for name, (count, _, seconds) in sums.items():
        answers.add_metric([name], int(count), seconds)
    yield answers
    failed = CounterMetricFamily(
        "microscaling_source_errors", "Requests to a source without a usable answer.", labels=["source"]
    )
    for name, (_, errors, _) in sums.items():
        failed.add_metric([name], errors)
    yield failed


def _of(tasks: list[TaskNow], value: Callable[[TaskNow], float | None]) -> Values:
    for task in tasks:
        if (found := value(task)) is not None:
            yield (task.name,), found


def _gauge(name: str, meaning: str, values: Values, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(f"microscaling_{name}", meaning, labels=["task", *labels]), values)


def _counter(name: str, meaning: str, values: Values, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(f"microscaling_{name}", meaning, labels=["task", *labels]), values)


def _filled(family: Any, values: Values) -> Metric:
    for labels, value in values:
        family.add_metric([clean(label) for label in labels], value)
    made: Metric = family
    return made


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Returns the counts as the format has them: each with those of all lower buckets."""
    found, total = [], 0
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        total += count
        found.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    return found
