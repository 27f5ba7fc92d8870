"""Rules to compare: each takes the place of the rules of a configuration."""

from __future__ import annotations

from collections.abc import Iterable

from microscaling.api.schema.plugin_fields import made, read_fields
from microscaling.api.schema.section import Notes, Section
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.settings import Settings
from microscaling.target.base import RULES
from microscaling.utils.text import alternatives, quoted


def with_rule(tasks: Iterable[Task], text: str, settings: Settings) -> None:
    """Gives each task that measures the rule of a text such as `Wait maxWaitSeconds=5`. Raises
    ConfigError."""
    name, *pairs = text.split()
    kind = RULES.find(name, any_case=True)
    if kind is None or not kind.measures:
        names = [rule.type_name for rule in RULES.all() if rule.measures]
        raise ConfigError(f"--rule: {quoted(name)} is not {alternatives(names)}")
    values: dict[str, object] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        values[key] = int(value) if value.isdecimal() else value
    for task in tasks:
        if task.is_remainder():
            continue
        # One for each, as a rule may learn from its own task.
        notes = Notes(strict=True)
        section = Section(values, f"--rule: {name}", notes)
        read = read_fields(section, kind.fields, f"rule {kind.type_name}")
        counts = {"minContainers": task.min_containers, "maxContainers": task.max_containers}
        target = None if read is None else made(section, lambda: kind.from_config(read | counts, settings))  # noqa: B023  # called at once
        section.no_others(*(field.key for field in kind.fields))
        if notes.problems:
            raise ConfigError(*notes.problems)
        assert target is not None
        task.target = target
        task.metric.with_running = kind.with_running
