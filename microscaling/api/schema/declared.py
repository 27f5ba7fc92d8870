"""All keys of a configuration as data, for the form of the page, editors and the documentation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from microscaling.api.schema import (
    busy,
    container,
    metric,
    policies,
    schedule,
    shares,
    warming,
    web,
    yielding,
)
from microscaling.api.schema.key import Key
from microscaling.api.schema.several import METRICS as SEVERAL
from microscaling.api.schema.sources import SOURCES
from microscaling.metric.base import METRICS
from microscaling.plugins import Field
from microscaling.target.base import RULES

IGNORED = (
    Key("appType", "Type", shape={"deprecated": True}, meaning="the Go agent read it; it has no effect"),
    Key(
        "targetValue",
        "Target",
        kind="shape",
        shape={"deprecated": True},
        meaning="the Go agent read it; it has no effect",
    ),
)
"""Keys of an app that are known, and have no effect."""
APP = (
    Key(
        "name",
        "Name",
        required=True,
        hint="containers carry it in a label",
        meaning="its name; containers carry it in the label `com.microscaling.microscaling-in-a-box`",
        in_form=True,
    ),
    Key(
        "priority",
        "Priority",
        kind="whole",
        default=0,
        hint="1 is more important than 2",
        meaning="1 is more important than 2; of equals the first in the list takes all, so give each its own",
        in_form=True,
    ),
    Key(
        "minContainers",
        "At least",
        kind="whole",
        default=0,
        least=0,
        hint="containers it keeps",
        meaning="it keeps these while the cap allows",
        in_form=True,
    ),
    Key(
        "maxContainers",
        "At most",
        kind="whole",
        default=0,
        least=0,
        hint="containers",
        meaning="it never gets more; 0: it never gets one. A YAML file has to say it",
        in_form=True,
    ),
    Key(
        "ruleType",
        "Gets",
        default="Remainder",
        wide=True,
        meaning="one of the rules below; in JSON any other text is `Remainder`",
        in_form=True,
    ),
    Key(
        "metricType",
        "Its queue is in",
        default_in_words="none",
        meaning="for a rule that measures: where its queue is, as below",
        in_form=True,
    ),
    SEVERAL,
    *shares.KEYS,
    *policies.KEYS,
    *schedule.KEYS,
    Key(
        "config",
        "Configuration",
        kind="shape",
        default_in_words="empty",
        meaning="the rest, as follows",
        shape={"type": "object"},
    ),
)
"""Keys of an app."""
CONFIG = (
    container.IMAGE,
    container.COMMAND,
    policies.IDLE,
    policies.STUCK,
    policies.ACTIVATION,
    policies.UPDATE,
    metric.COUNT,
    *metric.KEYS,
    metric.MISSING,
    SOURCES,
    *busy.KEYS,
    *web.KEYS,
    *yielding.KEYS,
    *warming.KEYS,
    *container.KEYS,
)
"""Keys of its `config` that belong to no rule and no metric."""


def declared() -> dict[str, Any]:
    """Returns all declarations, ready for JSON: `rules` and `metrics` with their fields, and the keys of an
    `app` and of its `config`. Imports every plugin."""
    return {
        "rules": [
            {"typeName": rule.type_name, "summary": rule.summary, "measures": rule.measures}
            | {"fields": _as_data(rule.fields)}
            for rule in RULES.all()
        ],
        "metrics": [
            {"typeName": kind.type_name, "summary": kind.summary, "mayBeMissing": kind.may_be_missing}
            | {"fields": _as_data(kind.fields)}
            for kind in METRICS.all()
        ],
        "app": _as_data(APP),
        "config": _as_data(CONFIG),
    }


def _as_data(keys: Iterable[Field]) -> list[dict[str, Any]]:
    # Without functions, and without the parts for the JSON Schema and the parser alone.
    left_out = ("check", "read", "shape", "to", "also", "refers")
    return [
        {_camel(f.name): getattr(key, f.name) for f in fields(key) if f.name not in left_out} for key in keys
    ]


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
