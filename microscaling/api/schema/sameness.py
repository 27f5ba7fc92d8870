"""The parts of a task's configuration from which its metric and its rule are made, to compare two versions.

Metric and rule know things that are worth keeping, such as the speed of a queue. They are kept over a change
of the configuration if these parts are the same; the agent's own variables, which may be filled in, are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from microscaling.api.schema import busy, container, policies, warming, web, yielding
from microscaling.api.schema.key import Key
from microscaling.plugins import Field
from microscaling.target.base import Target

OTHERS: tuple[Key, ...] = (
    container.IMAGE,
    container.COMMAND,
    *container.KEYS,
    policies.IDLE,
    policies.STUCK,
    policies.ACTIVATION,
    policies.UPDATE,
    *busy.KEYS,
    *web.KEYS,
    *yielding.KEYS,
    *warming.KEYS,
)
"""Keys of `config` that belong neither to the metric nor to the rule."""


def compared(app: Mapping[str, Any], rule: Target, counts: tuple[int, int]) -> tuple[str, str]:
    """Returns the keys for the metric, and those for the rule, with their values. `counts`: the minimum and
    the maximum of the task."""
    if several := _of(app, "metrics"):
        # Each metric and its rule know each other, and the activation is each metric's own.
        both = _text([several, _without(app, [key for key in OTHERS if key is not policies.ACTIVATION])])
        return both, both
    return _measures(app, rule), _decides(app, rule, counts)


def _measures(app: Mapping[str, Any], rule: Target) -> str:
    if not rule.measures:
        return ""
    config = _without(app, [*OTHERS, *rule.fields])
    # The rule, too, as the default of `count` is its.
    return _text([_of(app, "metrictype"), rule.type_name, config])


def _decides(app: Mapping[str, Any], rule: Target, counts: tuple[int, int]) -> str:
    config = _config(app)
    fields = {field.key: config.get(field.key.casefold()) for field in rule.fields}
    # Of our own rules only the one without a metric looks at them.
    own = type(rule).__module__.startswith("microscaling.")
    return _text([rule.type_name, fields, None if own and rule.measures else counts])


def _without(app: Mapping[str, Any], keys: Iterable[Field]) -> Mapping[str, Any]:
    """Returns the keys of `config` but for these; those that nothing knows, too."""
    names = [name for key in keys for name in (key.spellings if isinstance(key, Key) else (key.key,))]
    left_out = {name.casefold() for name in names}
    return {key: value for key, value in _config(app).items() if key not in left_out}


def _config(app: Mapping[str, Any]) -> Mapping[str, Any]:
    config = _of(app, "config")
    return _folded(config.items()) if isinstance(config, Mapping) else {}


def _of(app: Mapping[str, Any], key: str) -> Any:
    return _folded(app.items()).get(key)


def _folded(items: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    return {str(key).casefold(): value for key, value in items}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
