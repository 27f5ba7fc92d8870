"""What is measured for a task: its metricType, and what the metric needs of its config."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from microscaling.api.schema.section import Section, shown
from microscaling.errors import ConfigError
from microscaling.metric.base import Metric
from microscaling.metric.missing import EMPTY, HELD
from microscaling.metric.null import NullMetric
from microscaling.secrets.references import Unset, filled_in, filled_in_url
from microscaling.settings import Settings
from microscaling.utils.text import clean, one_line

MAX_INTERVAL_S = 3600.0
MAX_TIMEOUT_S = 300.0
OF_ANY = ("queueName", "queueURL", "topicName", "channelName", "databaseURL", "query")
"""Known in every task, whatever its metricType, as the Go agent did it."""


def read_metric(app: Section, config: Section, settings: Settings) -> Metric:
    """The metric that a task names; what measures is imported only here, when it is chosen. What is
    wrong is noted, and then nothing is measured."""
    kind = app.text("metricType")
    if kind in METRICS:
        metric = METRICS[kind](config, settings)
        _read_pace(config, metric)
        _read_bounds(config, metric)
        if kind in MAY_BE_MISSING:
            _read_missing(config, metric)
        return metric
    *most, last = METRICS
    app.wrong("metricType", f"{', '.join(most)} or {last}", app.take("metricType") or "")
    return NullMetric()


def _nsq(config: Section, settings: Settings) -> Metric:
    from microscaling.metric.nsq import NSQMetric

    topic, channel = _wanted(config, "topicName"), _wanted(config, "channelName")
    return NSQMetric(topic, channel, settings.nsq_stats_endpoint)


def _sqs(config: Section, settings: Settings) -> Metric:
    from microscaling.metric.sqs import SQSMetric

    return SQSMetric(_wanted(config, "queueURL"), settings.aws_region)


def _azure_queue(config: Section, settings: Settings) -> Metric:
    from microscaling.metric.azure_queue import Account, AzureQueueMetric

    return AzureQueueMetric(_wanted(config, "queueName"), Account.of(settings))


def _sql(config: Section, settings: Settings) -> Metric:
    from microscaling.metric.sql import SQLMetric

    url, query = _needed(config, "SQL", "databaseURL"), _needed(config, "SQL", "query")
    if not (url and query):
        return NullMetric()
    return _made(config, "databaseURL", lambda: SQLMetric(url, query))


def _http(config: Section, settings: Settings) -> Metric:
    from microscaling.metric.http import HTTPMetric, check_headers, check_url

    url, path = _url(config, "HTTP", check_url), config.text("path")
    headers = _headers(config, check_headers)
    return _made(config, "", lambda: HTTPMetric(url, path, headers)) if url else NullMetric()


def _redis(config: Section, settings: Settings) -> Metric:
    from microscaling.metric.redis import RedisMetric, check_url

    url, key = _url(config, "Redis", check_url), _needed(config, "Redis", "key")
    kind, group = config.text("kind") or "list", config.text("group")
    return _made(config, "", lambda: RedisMetric(url, key, kind, group)) if url and key else NullMetric()


METRICS: Mapping[str, Callable[[Section, Settings], Metric]] = {
    "AzureQueue": _azure_queue,
    "HTTP": _http,
    "NSQ": _nsq,
    "Redis": _redis,
    "SQL": _sql,
    "SQS": _sqs,
}
"""By metricType."""
MAY_BE_MISSING = ("NSQ", "Redis")
"""Where a queue that does not exist may well be an empty one; elsewhere that is an error."""


def _read_bounds(config: Section, metric: Metric) -> None:
    if config.take("atLeast") is not None:
        metric.at_least = config.whole("atLeast", least=0)


def _read_missing(config: Section, metric: Metric) -> None:
    missing = config.text("missing")
    if missing in (EMPTY, HELD):
        metric.missing = missing
    elif missing:
        config.wrong("missing", f"{EMPTY} (counts as 0 items) or {HELD} (the task stays put)", missing)


def _read_pace(config: Section, metric: Metric) -> None:
    """`intervalSeconds` and `timeoutSeconds`: how often to ask, and how long an answer may take."""
    metric.interval_s = config.number("intervalSeconds", 0.0, MAX_INTERVAL_S, "a number of seconds")
    timeout_s = config.number("timeoutSeconds", 0.0, MAX_TIMEOUT_S, "a number of seconds")
    if timeout_s and metric.source is not None:
        metric.source.limit(timeout_s)
    elif not timeout_s and config.take("timeoutSeconds") in (0, "0"):
        config.wrong("timeoutSeconds", "a number of seconds above 0", config.take("timeoutSeconds"))


def _wanted(config: Section, key: str) -> str:
    """A text that the Go agent did without: then nothing can be measured."""
    if config.take(key) in (None, ""):
        config.notes.warn(config.at(key), "is missing: with nothing to measure, the task stays put")
    return config.text(key)


def _needed(config: Section, kind: str, key: str) -> str:
    value = config.text(key)
    if not value.strip() and isinstance(config.take(key), (str, type(None))):
        config.notes.problem(config.at(key), f"is missing: metricType {kind} needs it")
    return value if value.strip() else ""


def _url(config: Section, kind: str, check: Callable[[str], None]) -> str:
    """A URL with its variables filled in; empty if it cannot be used, which is noted."""
    url = _needed(config, kind, "url")
    if not url:
        return ""
    try:
        url = filled_in_url(url, os.environ)
        check(url)
    except (Unset, ConfigError) as error:
        config.notes.problem(config.at("url"), str(error))
        return ""
    return url


def _headers(config: Section, check: Callable[[Mapping[str, str]], None]) -> dict[str, str]:
    """Name and value of each header; values, which may be secret, stay out of errors."""
    headers: dict[str, str] = {}
    for name, value in config.section("headers").items():
        place = config.at(f"headers.{one_line(name)}")
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            config.notes.problem(place, f"expected text, got {shown(value)}")
            continue
        try:
            header = {clean(name): filled_in(clean(str(value)), os.environ)}
            check(header)
            headers |= header
        except (Unset, ConfigError) as error:
            config.notes.problem(place, str(error))
    return headers


def _made(config: Section, key: str, make: Callable[[], Metric]) -> Metric:
    """What `make` makes; what is wrong is noted at the key, or at the one that the error names."""
    try:
        return make()
    except ConfigError as error:
        for problem in error.problems:
            named, _, rest = problem.partition(": ")
            place, what = (key, problem) if key else (named, rest)
            config.notes.problem(config.at(place), what)
        return NullMetric()
