"""The JSON Schema (draft 2020-12) of a configuration, for editors.

It accepts the configurations that the parser accepts without a warning, with keys in the spelling of the
documentation. Mistakes in the relation of several values, or to the outside (two tasks of one name, a
variable that is not set), are left to the parser.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from microscaling.api.schema import metric, several
from microscaling.api.schema.declared import APP, CONFIG, IGNORED
from microscaling.api.schema.files import FOLDERS
from microscaling.api.schema.key import Key, exactly
from microscaling.api.schema.policies import ACTIVATION
from microscaling.api.schema.section import DECIMAL
from microscaling.api.schema.sources import SOURCES, TYPE
from microscaling.metric.base import METRICS
from microscaling.plugins import Field
from microscaling.secrets.references import REFERENCE
from microscaling.target.base import RULES

Schema = dict[str, Any]

SCALAR: Schema = {"type": ["string", "number", "boolean"]}
PARAM: Schema = {"anyOf": [SCALAR, {"type": "array", "items": SCALAR}]}
OF_KIND: dict[str, Schema] = {
    "text": {"type": "string"},
    "url": {"type": "string"},
    "choice": {"type": "string"},
    "flag": {"type": "boolean"},
    "whole": {"type": "integer"},
    # A number may stand in text, as YAML and templates make it.
    "number": {"type": ["number", "string"], "minimum": 0, "pattern": exactly(DECIMAL.pattern)},
    "headers": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
    "params": {"type": "object", "additionalProperties": PARAM},
    "body": {"type": ["string", "object", "array"]},
    "shape": {},
}
FURTHER: Schema = {"patternProperties": {"^x-": True}, "additionalProperties": False}
"""Keywords of an object without further keys, except for those that begin with x-."""
FILES: Schema = {
    "description": "files of the engine's host, by name",
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {"file": {"type": "string", "pattern": r"^(/|\$\{)"}},
        "required": ["file"],
    }
    | FURTHER,
}
"""The shape of `secrets` and `configs` beside `apps`."""

OF_EACH = (*metric.KEYS, metric.MISSING, metric.COUNT, ACTIVATION)
"""The keys of each of several metrics, whatever its rule and metric are."""
SEVERAL: Schema = {"required": [SOURCES.key]}
"""True of the `config` of a task with several sources."""


def json_schema() -> Schema:
    """Returns the schema, with every rule and metric that can be loaded."""
    app: Schema = {
        "type": "object",
        "properties": _properties((*APP, *IGNORED)),
        "required": [key.key for key in APP if key.required],
        "allOf": [*_rules(), *_metrics()],
    } | FURTHER
    # All fields of plugins are listed here, because `additionalProperties` does not see those in `allOf`.
    of_plugins = {field.key: True for rule in RULES.all() for field in rule.fields}
    of_plugins |= {field.key: True for kind in METRICS.all() for field in kind.fields}
    config: Schema = {"properties": of_plugins | _properties(CONFIG)} | FURTHER
    sources = _sources(app["properties"][TYPE])
    config["properties"] |= {SOURCES.key: sources}
    app["properties"][several.METRICS.key] = _several(of_plugins | _properties(OF_EACH), sources)
    app["properties"]["config"] |= config
    app["properties"]["ruleType"]["enum"] = [rule.type_name for rule in RULES.all()]
    app["properties"]["metricType"]["examples"] = [kind.type_name for kind in METRICS.all()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Microscaling",
        "description": "Services that share a fixed number of containers by priority",
        "type": "object",
        "properties": {
            "maxContainers": {
                "title": "Cap",
                "description": "how many containers all tasks share",
                "type": "integer",
                "minimum": 0,
            },
            "name": {
                "title": "Name",
                "description": "the user; it has no effect",
                "type": "string",
            },
            "apps": {"title": "Tasks", "description": "the tasks", "type": "array", "items": app},
        }
        | dict.fromkeys(FOLDERS, FILES),
    } | FURTHER


def _sources(type_name: Schema) -> Schema:
    """Returns the schema of several sources: each has the fields of one metric, and the keys for every
    metric."""
    fields = {field.key: True for kind in METRICS.all() for field in kind.fields}
    keys = fields | {TYPE: type_name} | _properties((*metric.KEYS, metric.MISSING))
    return _of_field(SOURCES) | {"items": {"type": "object", "properties": keys} | FURTHER}


def _several(keys: Schema, sources: Schema) -> Schema:
    """Returns the schema of several metrics: each has the fields of its rule and of its metric, and the keys
    for all of them, beside these two or in a `config`."""
    measuring = [rule.type_name for rule in RULES.all() if rule.measures]
    keys = keys | {SOURCES.key: sources}
    entry = keys | {
        several.RULE: {"title": "Rule", "type": "string", "enum": measuring},
        TYPE: {"title": "Metric", "type": "string", "enum": [kind.type_name for kind in METRICS.all()]},
        several.CONFIG: {"type": "object", "properties": keys} | FURTHER,
    }
    items = {"type": "object", "properties": entry, "required": [several.RULE]} | FURTHER
    return _of_field(several.METRICS) | {"items": items}


def _rules() -> Iterable[Schema]:
    """Yields a condition for each rule: its fields, and a metric if it measures."""
    for rule in RULES.all():
        then = _with_fields(rule.fields)
        if rule.measures:
            then["properties"][TYPE] = {"enum": [kind.type_name for kind in METRICS.all()]}
            # Each of several sources may have a type of its own.
            of_several = {"properties": {"config": SEVERAL}, "required": ["config"]}
            then |= {"if": of_several, "else": {"required": [TYPE]}}
        yield _when({"ruleType": {"const": rule.type_name}}, then, rule.summary)


def _metrics() -> Iterable[Schema]:
    """Yields a condition for each metric: its fields, if the rule measures."""
    measuring = {"enum": [rule.type_name for rule in RULES.all() if rule.measures]}
    for kind in METRICS.all():
        chosen = {"ruleType": measuring, "metricType": {"const": kind.type_name}}
        then = _with_fields(kind.fields)
        # A key may be missing here if each of several sources has its own.
        config = then["properties"]["config"]
        config |= {"if": SEVERAL, "else": {"required": config.pop("required")}}
        yield _when(chosen, then, kind.summary)


def _when(chosen: Schema, then: Schema, summary: str) -> Schema:
    # `required`, because `properties` alone is true of an absent key.
    return {"$comment": summary, "if": {"properties": chosen, "required": [*chosen]}, "then": then}


def _with_fields(fields: tuple[Field, ...]) -> Schema:
    """Returns the schema of an app with these fields in its `config`."""
    # The parser only warns of a missing `expected` one, but the schema refuses all that leads to a warning.
    required = [field.key for field in fields if field.required or field.expected]
    config = {"properties": _properties(fields), "required": required}
    return {"properties": {"config": config}, "required": ["config"] if required else []}


def _properties(keys: Iterable[Field]) -> dict[str, Schema]:
    return {
        spelling: _of_field(key)
        for key in keys
        for spelling in (key.spellings if isinstance(key, Key) else (key.key,))
    }


def _or_reference(schema: Mapping[str, Any]) -> Schema:
    """Returns the schema of a value in which variables are filled in: text with ${NAME} fits everywhere."""
    # Inside too: a list may have a variable in one of its entries only.
    made: Schema = {
        keyword: _or_reference(inner)
        if keyword in ("items", "additionalProperties") and isinstance(inner, Mapping)
        else {name: _or_reference(of) if of is not True else of for name, of in inner.items()}
        if keyword == "properties"
        else inner
        for keyword, inner in schema.items()
    }
    if "pattern" not in made and "enum" not in made and "string" in made.get("type", ()):
        return made
    titles = {name: made.pop(name) for name in ("title", "description", "default") if name in made}
    return titles | {"anyOf": [made, {"type": "string", "pattern": REFERENCE.pattern}]}


def _with_extensions(shape: Mapping[str, Any]) -> Schema:
    """Returns the shape with keys that begin with x- in every object of fixed keys."""
    made = {
        keyword: _with_extensions(inner) if isinstance(inner, Mapping) else inner
        for keyword, inner in shape.items()
    }
    return made | FURTHER if made.get("additionalProperties") is False else made


def _of_field(field: Field) -> Schema:
    words = (field.meaning if isinstance(field, Key) else "") or field.hint
    found: Schema = (
        {"title": field.label, "description": words.replace("`", "")} if words else {"title": field.label}
    )
    found |= OF_KIND[field.kind]
    if field.required and field.kind in ("text", "url"):
        found["pattern"] = r"\S"
    if field.choices:
        found["enum"] = [*field.choices]
    for keyword, value in (("default", field.default), ("minimum", field.least), ("maximum", field.most)):
        if value is not None:
            found[keyword] = value
    if not isinstance(field, Key):
        return found
    found |= _with_extensions(field.shape)
    return _or_reference(found) if field.refers else found
