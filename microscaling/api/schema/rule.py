"""Reads the rule of a task, and its metric; or several of both."""

from __future__ import annotations

from collections.abc import Mapping

from microscaling.api.schema.metric import OF_ANY, read_count, read_metric
from microscaling.api.schema.plugin_fields import made, read_fields
from microscaling.api.schema.policies import ACTIVATION
from microscaling.api.schema.section import Section
from microscaling.api.schema.several import RULE, each_metric, has_metrics
from microscaling.api.schema.unknown import note_unknown
from microscaling.errors import ConfigError
from microscaling.metric.base import Metric
from microscaling.metric.multiple import Member, MultipleMetric
from microscaling.metric.null import NullMetric
from microscaling.settings import Settings
from microscaling.target.base import LENGTH, RULES, Target
from microscaling.target.greatest import GreatestTarget
from microscaling.target.remainder import RemainderTarget
from microscaling.utils.text import alternatives, nearest, quoted


def read_rule(
    app: Section, config: Section, least: int, most: int, settings: Settings
) -> tuple[Target, Metric]:
    """Returns the rule of a task, and its metric. `least` and `most`: its minimum and maximum of
    containers."""
    counts = {"minContainers": least, "maxContainers": most}
    if has_metrics(app):
        return _each(app, config, counts, settings)
    rule = _chosen(app)
    app.text("metricType")
    length = config.whole(LENGTH.key, least=0)
    for key in OF_ANY:
        config.text(key)
    target = _target(rule, config, counts, settings)
    if not rule.measures:
        return target, NullMetric()
    _warn_of_length(rule, config, length)
    metric = read_metric(app, config, settings)
    read_count(config, rule, most, metric)
    return target, metric


def _each(
    app: Section, config: Section, counts: Mapping[str, int], settings: Settings
) -> tuple[Target, Metric]:
    """Returns the rules of several metrics, and these."""
    rules: list[Target] = []
    members: list[Member] = []
    for place, entry in each_metric(app, config):
        rule = _measuring(entry)
        if rule is None:
            continue
        rules.append(_target(rule, entry, counts, settings))
        _warn_of_length(rule, entry, entry.whole(LENGTH.key, least=0) if LENGTH in rule.fields else 0)
        metric = read_metric(app, entry, settings, named=entry)
        read_count(entry, rule, counts["maxContainers"], metric)
        members.append(Member(place, metric, entry.whole(ACTIVATION.key, least=0)))
        # Without a known type every key of one would be noted, though only the type is wrong.
        note_unknown(entry, of_plugins=isinstance(metric, NullMetric))
    metric = MultipleMetric(members)
    return GreatestTarget(rules, metric), metric


def _measuring(entry: Section) -> type[Target] | None:
    """Returns the rule that an entry of `metrics` names; None, and a note, if that is none that measures."""
    name = entry.text(RULE)
    try:
        rule = RULES.find(name, any_case=entry.notes.strict)
    except ConfigError as error:
        entry.notes.problem(entry.at(RULE), str(error))
        return None
    if rule is None or not rule.measures:
        entry.none_of(RULE, [kind.type_name for kind in RULES.all() if kind.measures], name)
        return None
    return rule


def _target(rule: type[Target], config: Section, counts: Mapping[str, int], settings: Settings) -> Target:
    values = read_fields(config, rule.fields, f"ruleType {rule.type_name}")
    target = (
        None if values is None else made(config, lambda: rule.from_config({**values, **counts}, settings))
    )
    # In its place for now: with a problem the configuration is refused.
    return target or RemainderTarget(counts["maxContainers"])


def _warn_of_length(rule: type[Target], config: Section, length: int) -> None:
    # A value that is no number is a problem already, so only a missing or zero length is worth the warning.
    there = config.take(LENGTH.key) if LENGTH in rule.fields else None
    if LENGTH in rule.fields and not length and not there:
        what = "this task asks for more as long as there is an item"
        config.notes.missing(config.at(LENGTH.key), there, what)


def _chosen(app: Section) -> type[Target]:
    """Returns the rule that ruleType names. Any other text means Remainder, as in the Go agent, with a
    warning."""
    name = app.text(RULE)
    if not name and app.notes.strict and app.text("metricType"):
        # Without it the task would get what the others leave, and its queue would count for nothing.
        app.none_of(RULE, RULES.names(), "")
    try:
        rule = RULES.find(name, any_case=app.notes.strict) if name else RemainderTarget
    except ConfigError as error:
        app.notes.problem(app.at(RULE), str(error))
        return RemainderTarget
    if rule is None:
        names = RULES.names()
        if app.notes.strict:
            app.none_of(RULE, names, name)
        else:
            other = nearest(name, names)
            hint = f"; did you mean {other}?" if other else ""
            what = f"{quoted(name)} is not {alternatives(names)}: this task gets what the others leave{hint}"
            app.notes.warn(app.at(RULE), what)
    return rule or RemainderTarget
