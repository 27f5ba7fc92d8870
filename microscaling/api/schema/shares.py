"""Reads a task's part of the cap beside its priority: its weight and its reserve."""

from __future__ import annotations

from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Section

LEAST_WEIGHT, MAX_WEIGHT = 0.001, 1000.0
KEYS = (
    Key(
        "weight",
        "Weight",
        kind="number",
        least=LEAST_WEIGHT,
        most=MAX_WEIGHT,
        default_in_words="none",
        meaning="tasks of equal priority share what they want by weight, if one of them has one (others: 1); "
        "without, the first in the list takes all",
    ),
    Key(
        "reserve",
        "Reserve",
        kind="whole",
        least=0,
        default=0,
        meaning="containers that it gets before more important tasks, as far as it wants them; unlike "
        "minContainers it runs none unasked",
    ),
)
"""Keys of an app."""


def read_weight(app: Section) -> float | None:
    """Reads `weight`; None if it is absent."""
    if app.take("weight") is None:
        return None
    return app.number("weight", 1.0, MAX_WEIGHT, "a number", LEAST_WEIGHT)


def read_reserve(app: Section, most: int) -> int:
    """Reads `reserve`. `most`: the task's maximum of containers."""
    reserve = app.whole("reserve", least=0)
    if reserve > most:
        app.notes.warn(app.at("reserve"), f"is {reserve}, above maxContainers, which is {most}")
    return reserve
