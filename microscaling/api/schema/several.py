"""Reads `metrics`: several metrics of one task, each with a rule of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from microscaling.api.schema.key import Key
from microscaling.api.schema.metric import METRICS_KEY
from microscaling.api.schema.section import Section, shown
from microscaling.api.schema.sources import SOURCES, TYPE, OneSource
from microscaling.utils.strict_json import Object

RULE = "ruleType"
CONFIG = "config"
MAX_METRICS = 32
METRICS = Key(
    METRICS_KEY,
    "Several metrics",
    kind="shape",
    default_in_words="one",
    meaning="a list in place of ruleType and metricType: each entry has its own, with their keys, and the "
    "greatest wish wins; while one of them cannot be read the task gets no fewer",
    shape={"type": "array", "minItems": 1, "maxItems": MAX_METRICS, "items": {"type": "object"}},
)
"""The key of an app. (`sources` of a `config` are added up under one target.)"""


class OneMetric(OneSource):
    """One entry of `metrics`; it has every key of the task's `config`, too, except for those it overrides."""

    OWN = (TYPE, RULE, SOURCES.key)

    def __init__(self, data: Mapping[Any, Any], place: str, config: Section) -> None:
        # People write an entry as they write a task: with its keys beside ruleType, or in a `config`.
        inner, merged = inner_of(data), Object()
        outer = {key: value for key, value in data.items() if str(key).casefold() != CONFIG}
        self._inner = {str(key).casefold() for key in inner}
        twins = self._inner & {str(key).casefold() for key in outer}
        merged.update({**inner, **outer})
        merged.repeated = (*getattr(data, "repeated", ()), *getattr(inner, "repeated", ()))
        super().__init__(merged, place, config)
        for key, value in data.items():
            if str(key).casefold() == CONFIG and not isinstance(value, (Mapping, type(None))):
                self.notes.problem(f"{place}.{CONFIG}", f"expected an object, got {shown(value)}")
        for key in sorted(twins):
            self.notes.problem(f"{place}.{CONFIG}.{key}", "stands beside this config too: leave one out")
        self._inner -= twins

    def at(self, key: str) -> str:
        place = super().at(key)
        if key.casefold() not in self._inner or not place.startswith(f"{self.place}."):
            return place
        return f"{self.place}.{CONFIG}{place[len(self.place) :]}"


def inner_of(entry: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Returns the `config` of an entry; an empty one if it has none."""
    found = next((value for key, value in entry.items() if str(key).casefold() == CONFIG), None)
    return found if isinstance(found, Mapping) else {}


def has_metrics(app: Section) -> bool:
    """True if a task has `metrics`."""
    return app.take(METRICS.key) is not None


def each_metric(app: Section, config: Section) -> Iterator[tuple[str, OneMetric]]:
    """Yields name ("metrics[0]") and entry; a note tells of each that is none, and of keys beside them that
    would have no effect."""
    for key in (RULE, TYPE):
        if app.take(key) is not None:
            what = f"means nothing beside {METRICS.key}: write it into one of its entries, or leave it out"
            app.notes.problem(app.at(key), what)
    if config.take(SOURCES.key) is not None:
        what = (
            f"are added up under one target, and {METRICS.key} have a target each: write {SOURCES.key} into "
            f"one of the entries of {METRICS.key}"
        )
        config.notes.problem(config.at(SOURCES.key), what)
    entries = list(app.entries(METRICS.key))
    if not entries and isinstance(app.take(METRICS.key), list):
        app.notes.problem(app.at(METRICS.key), "is empty: leave it out, or name a metric")
    if len(entries) > MAX_METRICS:
        app.notes.problem(app.at(METRICS.key), f"has {len(entries)} entries, {MAX_METRICS} are the most")
        entries = []
    for i, (place, entry) in enumerate(entries):
        if isinstance(entry, Mapping):
            if any(entry == other for _, other in entries[:i]):
                app.notes.warn(place, "is there already: leave one out")
            yield f"{METRICS.key}[{i}]", OneMetric(entry, place, config)
        else:
            app.notes.problem(place, f"expected an object with {RULE} and {TYPE}, got {shown(entry)}")
