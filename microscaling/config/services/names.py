"""Names of labels, and the keys of a configuration that they stand for.

They are made from the declarations of those keys: `scale-down-window-seconds` and `scaleDownWindowSeconds`
are the key of that name, `metric.url` is the field `url` of the metric, and a few keys have a short form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from microscaling.api.schema.container import COMMAND, IMAGE, KEYS
from microscaling.api.schema.declared import APP, CONFIG
from microscaling.api.schema.key import Key
from microscaling.api.schema.metric import KEYS as OF_METRICS
from microscaling.api.schema.metric import MISSING
from microscaling.api.schema.sources import SOURCES
from microscaling.clients.docker.copied_files import COPY_FILES
from microscaling.clients.docker.swarm import OWN
from microscaling.plugins import Field
from microscaling.utils.text import nearest

PREFIX = "microscaling."
ENABLE = "enable"
SHORT = {
    "min": "minContainers",
    "max": "maxContainers",
    "rule": "ruleType",
    "metric": "metricType",
    "scale-down-window": "scaleDownWindowSeconds",
}
SHORT_INNER = {"threshold": "failureThreshold"}
METRIC = "metric"
TARGET = "target"
NOT_LABELS = ("name", "config")
"""Keys of a task that no label can give: its name is that of the service."""
OTHERS = tuple(label.removeprefix(PREFIX) for label in (COPY_FILES, *OWN))
"""Labels that are no keys of a task."""
OF_CONTAINERS = frozenset(name for key in (IMAGE, COMMAND, *KEYS) for name in key.spellings)


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a label's value in the description of a task."""

    path: tuple[str, ...]
    """The keys down to it: ("config", "url")."""
    field: Field


def folded(name: str) -> str:
    """Returns a name without the differences between kebab-case and camelCase."""
    return name.replace("-", "").casefold()


def kebab(name: str) -> str:
    """Returns a name in kebab-case, as the documentation writes labels."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


class Names:
    """The labels that a service with this rule and this metric can have."""

    def __init__(self, rule: Iterable[Field], metric: Iterable[Field]) -> None:
        own = [field for field in rule if field.kind in ("whole", "number")]
        containers = {key.key for key in (IMAGE, COMMAND, *KEYS)}
        config = [*rule, *(key for key in CONFIG if key.key not in containers)]
        self._places = {kebab(field.key): Place(("config", field.key), field) for field in config} | {
            kebab(key.key): Place((key.key,), key) for key in APP if key.key not in NOT_LABELS
        }
        self._places |= {short: self._places[kebab(key)] for short, key in SHORT.items()}
        if own:
            self._places[TARGET] = self._places[kebab(own[0].key)]
        self._places |= {
            f"{METRIC}.{kebab(field.key)}": Place(("config", field.key), field)
            for field in (*metric, *OF_METRICS, MISSING, SOURCES)
        }
        self._folded = {folded(name): place for name, place in self._places.items()}
        self._names: dict[tuple[str, ...], str] = {}
        for name, place in self._places.items():
            # Of several names errors have the shortest, but never a bare one for a key of the metric.
            other = self._names.setdefault(place.path, name)
            if name.startswith(f"{METRIC}.") or (len(name) < len(other) and "." not in other):
                self._names[place.path] = name

    def find(self, name: str) -> Place | None:
        """Returns the place of a label, given without its prefix; None if there is no such label."""
        words = name.split(".")
        # The longest first, as a field may have the name of another one's first word.
        for n in range(len(words), 0, -1):
            place = self._folded.get(folded(".".join(words[:n])))
            if place is not None:
                rest = words[n:]
                return _inner(place, rest) if rest else place
        return None

    def name_of(self, path: tuple[str, ...]) -> str:
        """Returns the label, without its prefix, for a place in the description of a task."""
        for n in range(len(path), 0, -1):
            if path[:n] in self._names:
                return ".".join((self._names[path[:n]], *map(kebab, path[n:])))
        return ".".join(map(kebab, path))

    def nearest(self, name: str) -> str:
        """Returns the most similar label, without its prefix; "" if none is similar."""
        return nearest(kebab(name), [ENABLE, *OTHERS, *self._all()])

    def _all(self) -> Iterator[str]:
        for name, place in self._places.items():
            yield name
            yield from (f"{name}.{kebab(inner)}" for inner in _properties(place.field))


def _properties(field: Field) -> Mapping[str, Mapping[str, object]]:
    """Returns the shapes of the keys inside the value of a key; none if they are free."""
    found: Mapping[str, Mapping[str, object]] = getattr(field, "shape", {}).get("properties", {})
    return found


def _inner(place: Place, rest: list[str]) -> Place | None:
    """Returns the place of a key inside the value of a key: fallback.containers, headers.Accept."""
    if place.field.kind in ("headers", "params"):  # these names are the other side's, dots included
        name = ".".join(rest)
        return Place((*place.path, name), Field(name, name))
    return _inside(place.path, _properties(place.field), [SHORT_INNER.get(rest[0], rest[0]), *rest[1:]])


def _inside(
    path: tuple[str, ...], shapes: Mapping[str, Mapping[str, object]], words: list[str]
) -> Place | None:
    """Returns the place of these words in the object at a path: busyProbe, http, port."""
    found = {folded(key): (key, shape) for key, shape in shapes.items()}
    if folded(words[0]) not in found:
        return None
    key, shape = found[folded(words[0])]
    if len(words) > 1:
        inner = shape.get("properties")
        return _inside((*path, key), inner, words[1:]) if isinstance(inner, Mapping) else None
    kinds = {"integer": "whole", "number": "number", "boolean": "flag", "array": "shape", "object": "shape"}
    kind = kinds.get(str(shape.get("type")), "text")
    return Place((*path, key), Key(key, key, kind=kind))
