"""Reads `sources`: the several queues of one task, which are added up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Section, shown

TYPE = "metricType"
SOURCES = Key(
    "sources",
    "Several sources",
    kind="shape",
    default_in_words="one",
    meaning="a list of queues that are added up; each says what is different from `metricType` and `config`, "
    "and while one of them cannot be read there is no sum",
    shape={"type": "array", "minItems": 1, "items": {"type": "object"}},
)


class OneSource(Section):
    """One entry of `sources`; it has every key of the task's `config`, too, except for those it overrides."""

    OWN: tuple[str, ...] = (TYPE,)
    """Keys that it does not have from there."""

    def __init__(self, data: Mapping[Any, Any], place: str, config: Section) -> None:
        self._config = config  # first, as the place of a key that is there twice is asked for below
        super().__init__(data, place, config.notes)

    def take(self, key: str) -> Any:
        own = super().take(key)
        # The task's own metricType stands beside `config`, not in it.
        return own if own is not None or key in self.OWN else self._config.take(key)

    def at(self, key: str) -> str:
        # A mistake in a key that all sources share has only one place.
        return self._config.at(key) if self.shares(key) else super().at(key)

    def shares(self, key: str) -> bool:
        """True if the value of a key is that of the task's `config`."""
        return key not in self.OWN and super().take(key) is None and self._config.take(key) is not None


def has_sources(config: Section) -> bool:
    """True if a task has `sources`."""
    return config.take(SOURCES.key) is not None


def each_source(config: Section) -> Iterator[OneSource]:
    """Yields the entries of `sources`; a note tells of each that is none."""
    entries = list(config.entries(SOURCES.key))
    if not entries and isinstance(config.take(SOURCES.key), list):
        config.notes.problem(config.at(SOURCES.key), "is empty: leave it out, or name a queue")
    for i, (place, entry) in enumerate(entries):
        if isinstance(entry, Mapping):
            if any(entry == other for _, other in entries[:i]):
                config.notes.warn(place, "is there already: its items count twice")
            yield OneSource(entry, place, config)
        else:
            config.notes.problem(place, f"expected an object such as {{key: jobs}}, got {shown(entry)}")
