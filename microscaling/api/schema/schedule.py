"""Reads a task's `schedule`: windows of time with limits of their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Section
from microscaling.demand.schedule import Limits, Schedule, Window
from microscaling.errors import ConfigError
from microscaling.target.base import LENGTH, Target
from microscaling.utils.local_time import UTC, zone_of
from microscaling.utils.recurrence import Dated, Dates, Recurrence, Weekly, range_of, recurrence_of

MIDNIGHT = 24 * 60
ALL_DAYS = frozenset(range(7))
NUMBERS = ("minContainers", "maxContainers", "priority", LENGTH.key)
OTHERS = ("from", "to", "timezone", "dates")
TEXT = {"type": "string", "pattern": r"\S"}
COUNT = {"type": "integer", "minimum": 0}
KEYS = (
    Key(
        "schedule",
        "Schedule",
        kind="shape",
        default_in_words="none",
        meaning="windows of time with other limits, the first that is open counts: "
        "`[{from: Mon-Fri 08:00, to: 18:00, timezone: Europe/Berlin, minContainers: 4}]`; "
        "[all of it](#schedules)",
        shape={
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "from": TEXT,
                    "to": TEXT,
                    "timezone": TEXT,
                    "dates": {"type": ["array", "string"], "items": TEXT},
                    "minContainers": COUNT,
                    "maxContainers": COUNT,
                    "priority": {"type": "integer"},
                    LENGTH.key: COUNT,
                },
                "anyOf": [{"required": ["from", "to"]}, {"required": ["dates"]}],
                "additionalProperties": False,
            },
        },
    ),
)
"""The key of an app for it."""


def read_schedule(app: Section, least: int, most: int, target: Target) -> Schedule | None:
    """Reads `schedule`; None if it is absent, or wrong. `least` and `most`: the task's own numbers."""
    before = len(app.notes.problems)
    length: int | None = getattr(target, "length", None) if LENGTH in target.fields else None
    windows: list[Window] = []
    for place, entry in app.entries("schedule"):
        if not isinstance(entry, Mapping):
            app.notes.problem(place, "expected an object with from and to")
            continue
        windows += filter(None, [_window(Section(entry, place, app.notes), least, most, length)])
    if len(app.notes.problems) > before or not windows:
        return None
    return Schedule(tuple(windows), length)


def _window(section: Section, least: int, most: int, length: int | None) -> Window | None:
    before = len(section.notes.problems)
    limits = _limits(section, least, most, length)
    zone = _zone(section)
    dates = _dates(section)
    begin, end = _recurrence(section, "from"), _recurrence(section, "to")
    missing = [key for key in ("from", "to") if section.take(key) is None]
    # Without both, the days of `dates` are meant as a whole.
    if missing and (dates is None or len(missing) == 1):
        section.notes.problem(section.at(missing[0]), "is missing: a window has from and to, or dates alone")
    section.no_others(*NUMBERS, *OTHERS)
    if len(section.notes.problems) > before:
        return None
    times = begin or Weekly(ALL_DAYS, 0)
    start: Recurrence = times if dates is None else Dated(times, dates)
    return Window(start, end or Weekly(ALL_DAYS, MIDNIGHT), zone, limits, _words(section))


def _limits(section: Section, least: int, most: int, length: int | None) -> Limits:
    given = {key: section.take(key) for key in NUMBERS}
    numbers = {key: section.whole(key, None if key == "priority" else 0) for key in NUMBERS}
    found = [None if given[key] is None else numbers[key] for key in NUMBERS]
    if all(value is None for value in found):
        section.notes.problem(section.place, f"changes nothing: give it one of {', '.join(NUMBERS)}")
    limits = Limits(*found)
    low, high = (own if n is None else n for n, own in ((limits.least, least), (limits.most, most)))
    if low > high and (limits.least, limits.most) != (None, None):
        key = "minContainers" if limits.least is not None else "maxContainers"
        section.notes.problem(
            section.at(key),
            f"in this window minContainers is {low}, above maxContainers, which is {high}: raise one or "
            "lower the other",
        )
    if limits.length is not None and length is None:
        section.notes.problem(
            section.at(LENGTH.key), "means nothing with this ruleType, which has no such number: leave it out"
        )
    return limits


def _zone(section: Section) -> tzinfo:
    name = section.text("timezone") or UTC
    try:
        return zone_of(name)
    except ConfigError as error:
        section.notes.problem(section.at("timezone"), str(error))
        return zone_of(UTC)


def _recurrence(section: Section, key: str) -> Recurrence | None:
    text = section.text(key)
    if not isinstance(section.take(key), str):
        return None
    try:
        return recurrence_of(text)
    except ConfigError as error:
        section.notes.problem(section.at(key), str(error))
        return None


def _dates(section: Section) -> Dates | None:
    if section.take("dates") is None:
        return None
    section.change("dates", lambda value: [value] if isinstance(value, str) else value)
    ranges = []
    for place, entry in section.entries("dates"):
        try:
            ranges.append(range_of(entry if isinstance(entry, str) else str(entry)))
        except ConfigError as error:
            section.notes.problem(place, str(error))
    if section.take("dates") == []:
        section.notes.problem(section.at("dates"), "is empty: give it a date, or leave it out")
    return Dates(tuple(ranges))


def _words(section: Section) -> str:
    """Returns the times of a window as they are written."""
    times = f"{section.text('from')} to {section.text('to')}" if section.take("from") is not None else ""
    days = ", ".join(str(entry) for _, entry in section.entries("dates"))
    on = f"on {days}" if days else ""
    return " ".join(filter(None, (times, on, section.text("timezone") or UTC)))
