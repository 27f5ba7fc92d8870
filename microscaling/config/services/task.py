"""The task of one service, from its labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from microscaling.api.apps import apps_from_parsed
from microscaling.api.schema.busy import implied_busy
from microscaling.config.services.labels import Labelled, read_labels
from microscaling.config.services.trust import passwords, problems_of_trust
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.settings import Settings
from microscaling.utils.text import short

OF_APP = re.compile(r"apps\[0\]\.([^:\s]+): ")


def task_of(
    name: str,
    labels: Mapping[str, str],
    cap: int,
    settings: Settings,
    warn: Callable[[str], None],
    variables: Sequence[str] = (),
) -> Task:
    """Returns the task with that name. Raises ConfigError with every mistake, each with its label.

    `warn` gets the probable mistakes; `variables` are patterns of the agent's variables that labels may use.
    """
    found = read_labels(labels)
    for warning in passwords(found):
        warn(warning)
    distrusted = problems_of_trust(found, variables)
    if distrusted:  # the parser would fill in variables, and open files
        raise ConfigError(*found.problems, *distrusted)
    parsed = {"maxContainers": cap, "apps": [found.app | {"name": name}]}
    warnings: list[str] = []
    try:
        tasks, _ = apps_from_parsed(parsed, settings, warnings.append, strict=True)
    except ConfigError as error:
        # A label that could not be read counts as missing here, which is no news.
        noted = tuple(f"{problem.partition(': ')[0]}: " for problem in found.problems)
        more = (_with_label(found, problem) for problem in error.problems)
        raise ConfigError(*found.problems, *(note for note in more if not note.startswith(noted))) from None
    if found.problems:
        raise ConfigError(*found.problems)
    for warning in warnings:
        warn(_with_label(found, warning))
    task = tasks[0]
    if not task.drain_keys:
        task.busy, task.drain = implied_busy(task.metric)
    if task.weight is None:
        task.weight = 1.0  # services have no order, so those of one priority always share
    return task


def _with_label(found: Labelled, text: str) -> str:
    """Replaces the place in a note of the parser by the label."""
    place = OF_APP.match(text)
    if place is None:
        return text
    path = tuple(re.sub(r"\[\d+\]", "", place[1]).split("."))
    return f"{short(found.label_of(path))}: {text[place.end() :]}"
