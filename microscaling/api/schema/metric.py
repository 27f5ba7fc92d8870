"""Reads the metric of a task: its metricType, and the keys of `config` for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from microscaling.api.schema.key import Key
from microscaling.api.schema.plugin_fields import made, read_fields
from microscaling.api.schema.section import Notes, Section
from microscaling.api.schema.sources import SOURCES, TYPE, each_source, has_sources
from microscaling.api.schema.unknown import note_unknown
from microscaling.errors import ConfigError
from microscaling.metric.base import METRICS, Metric
from microscaling.metric.measurement import WAITING, WITH_RUNNING
from microscaling.metric.missing import EMPTY, HELD
from microscaling.metric.null import NullMetric
from microscaling.metric.total import TotalMetric
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.target.base import LENGTH, Target

MAX_INTERVAL_S = 3600.0
MAX_TIMEOUT_S = 300.0
KEYS = (
    Key(
        "intervalSeconds",
        "Interval",
        kind="number",
        default=0,
        most=MAX_INTERVAL_S,
        meaning="seconds between two questions to its source, its pace; 0: each beat, twice a second",
    ),
    Key(
        "timeoutSeconds",
        "Time-out",
        kind="number",
        most=MAX_TIMEOUT_S,
        default_in_words="1 or 2",
        meaning=f"seconds that a whole answer may take, at most {MAX_TIMEOUT_S:g}",
        shape={"exclusiveMinimum": 0},
    ),
    Key(
        "atLeast",
        "At least",
        kind="whole",
        least=0,
        meaning="a reading below it counts as so many items; without it a negative number is an error",
    ),
)
"""Keys of `config` for every metric."""
MISSING = Key(
    "missing",
    "Missing queue",
    kind="choice",
    default=EMPTY,
    choices=(EMPTY, HELD),
    meaning=f"a queue that does not exist counts as `{EMPTY}` (0), or its task is `{HELD}`, so it stays put",
)
"""The key of `config` for metrics of queues that may not exist."""
COUNT = Key(
    "count",
    "Counts",
    kind="choice",
    choices=(WAITING, WITH_RUNNING),
    default_in_words="by the rule",
    meaning="the jobs of which the rule gets the number, for sources that count both: "
    f"`{WAITING}` (default of `Queue` and `SimpleQueue`) or `{WITH_RUNNING}` (of `PerContainer`)",
)
"""The key of `config` for the number of a measurement that its rule gets."""
METRICS_KEY = "metrics"
"""The key of an app with several metrics."""
OF_ANY = ("queueName", "queueURL", "topicName", "channelName", "databaseURL", "query")
"""Keys that are known with every metricType, as in the Go agent."""


def read_metric(app: Section, config: Section, settings: Settings, named: Section | None = None) -> Metric:
    """Returns the metric of a task, or the sum of its `sources`; the NullMetric, and a note, if there is a
    problem. `named`: the section with its metricType, if that is not the app."""
    named = named or app
    if not has_sources(config):
        return _read_one(named, app, config, settings)
    terms: list[Metric] = []
    for source in each_source(config):
        term = _read_one(source if source.text(TYPE) else named, app, source, settings)
        # The lower bound of `config` is one of the sum; of its terms it only says that -1 is no error.
        if term.at_least is not None and source.shares("atLeast"):
            term.at_least = 0
        terms.append(term)
        # Without a known type every key of one would be noted, though only the type is wrong.
        note_unknown(source, of_plugins=isinstance(term, NullMetric))
    total = TotalMetric(terms)
    _read_bounds(config, total)
    return total


def _read_one(named: Section, app: Section, config: Section, settings: Settings) -> Metric:
    """Returns the metric that `named` names, with the values in `config`."""
    name = named.text(TYPE)
    try:
        kind = METRICS.find(name, any_case=app.notes.strict)
    except ConfigError as error:
        app.notes.problem(named.at(TYPE), str(error))
        return NullMetric()
    if kind is None:
        named.none_of(TYPE, METRICS.names(), name)
        return NullMetric()
    values = read_fields(config, kind.fields, f"metricType {kind.type_name}")
    task = app.text("name")
    given = {**(values or {}), "task": task}
    metric = None if values is None else made(config, lambda: kind.from_config(given, settings))
    metric = metric or NullMetric()
    metric.task = task
    _read_pace(config, metric)
    _read_bounds(config, metric)
    if kind.may_be_missing:
        _read_missing(config, metric)
    return metric


def filled_in_keys(app: Section, config: Section) -> Iterator[str]:
    """Yields the places below the task, such as "config.url", in which ${NAME} is replaced by a variable."""
    # What stands in `config` is for every source, and for each of several metrics.
    yield from _filled_in(app, config, "config", "config")
    entries = app.take(METRICS_KEY)
    for i, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, Mapping):
            continue
        named, place = Section(entry, "", Notes(strict=app.notes.strict)), f"{METRICS_KEY}[{i}]"
        inner = named.section("config")
        named.take(SOURCES.key), inner.take(SOURCES.key)
        yield from _filled_in(named, named, place, "config")
        yield from _filled_in(named, inner, f"{place}.config", "config")


def _filled_in(named: Section, config: Section, place: str, shared: str) -> Iterator[str]:
    """Yields the places for the metric that `named` names, whose keys stand in `config` at the place, or in
    the task's own, which all share."""
    fields = list(_fields_of(named))
    # A rule that measures nothing does not read the key.
    sources = config.take(SOURCES.key) if SOURCES.key in config.known() else None
    for i, source in enumerate(sources if isinstance(sources, list) else ()):
        own = Section(source, "", Notes(strict=named.notes.strict)) if isinstance(source, Mapping) else named
        of_source = _fields_of(own if own.take(TYPE) else named)
        yield from (f"{place}.{SOURCES.key}[{i}].{field.key}" for field in of_source if field.fills_in)
        fields += of_source
    for field in fields:
        if field.fills_in:
            yield f"{place}.{field.key}"
            yield f"{shared}.{field.key}"


def _fields_of(named: Section) -> tuple[Field, ...]:
    """Returns the fields of the metric that `named` names; none if there is no such metric."""
    try:
        kind = METRICS.find(named.text(TYPE), any_case=named.notes.strict)
    except ConfigError:
        kind = None
    return kind.fields if kind else ()


def read_count(config: Section, rule: type[Target], most: int, metric: Metric) -> None:
    """Reads `count` into the metric. `most`: the task's maximum of containers."""
    if not rule.with_running and any(one.of_containers for one in (metric, *metric.terms)):
        # The sum of a load that is shared does not fall with more containers.
        config.notes.problem(
            config.at("measure"),
            f"what the containers use together is no queue, and {rule.type_name} would start containers up "
            "to the maximum: use ruleType PerContainer",
        )
    count = config.text(COUNT.key)
    if config.notes.strict:
        count = count.lower()
    metric.with_running = count == WITH_RUNNING or (not count and rule.with_running)
    if count not in ("", WAITING, WITH_RUNNING):
        config.none_of(COUNT.key, (WAITING, WITH_RUNNING), count)
    elif count == WITH_RUNNING and LENGTH in rule.fields:
        # Each new container takes a job, which counts as before: the number never falls to the target.
        length = config.take(LENGTH.key)
        if not isinstance(length, int) or length <= most:
            config.notes.problem(
                config.at(COUNT.key),
                f"is {WITH_RUNNING}, with which {rule.type_name} starts containers up to the maximum, as the "
                f"jobs that they take still count: leave it out, or raise {LENGTH.key} above "
                f"the number of jobs that {most} containers work on",
            )


def _read_bounds(config: Section, metric: Metric) -> None:
    # Absent is not 0: without the key a negative number is an error.
    if config.take("atLeast") is not None:
        metric.at_least = config.whole("atLeast", least=0)


def _read_missing(config: Section, metric: Metric) -> None:
    missing = config.text("missing")
    if config.notes.strict:
        missing = missing.lower()
    if missing in (EMPTY, HELD):
        metric.missing = missing
    elif missing:
        config.wrong("missing", f"{EMPTY} (counts as 0 items) or {HELD} (the task stays put)", missing)


def _read_pace(config: Section, metric: Metric) -> None:
    """Reads `intervalSeconds`, the interval between two requests, and `timeoutSeconds`, the limit of one."""
    metric.interval_s = config.number("intervalSeconds", 0.0, MAX_INTERVAL_S, "a number of seconds")
    timeout_s = config.number("timeoutSeconds", 0.0, MAX_TIMEOUT_S, "a number of seconds")
    if timeout_s and metric.source is not None:
        metric.source.limit(timeout_s)
    # 0 is within the limits of `number`, which returns it for an absent key too, but no answer takes 0 s.
    elif not timeout_s and config.take("timeoutSeconds") in (0, "0"):
        config.wrong("timeoutSeconds", "a number of seconds above 0", config.take("timeoutSeconds"))
