"""Times that recur: on days of the week, or by an expression of cron. All are local times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol

from microscaling.errors import ConfigError
from microscaling.utils.text import alternatives, nearest, quoted

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKLY = re.compile(r"(?:(?P<days>[A-Za-z][A-Za-z,\s-]*?)\s+)?(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})")
CRON_FIELDS = 5
ONE_DAY = timedelta(days=1)
A_MOMENT = timedelta(seconds=1)
HORIZON = 9 * 366
"""Days to look ahead for a date: two leap days are up to eight years apart."""
LEAP_YEAR = 2024
EXPECTED = 'a time such as "08:00", "Mon-Fri 08:00" or, as cron, "0 8 * * 1-5"'


class Recurrence(Protocol):
    """Times in order, without an end."""

    def after(self, local: datetime) -> datetime | None:
        """Returns the first time after this one; None if there is none."""

    def before(self, local: datetime) -> datetime | None:
        """Returns the last time before this one; None if there is none."""


@dataclass(frozen=True)
class Weekly(Recurrence):
    """A time of day on some days of the week, Monday being 0; `minute` counts from midnight, up to 1440."""

    days: frozenset[int]
    minute: int

    def after(self, local: datetime) -> datetime | None:
        first = local.date() - ONE_DAY  # whose 24:00 is today
        return next((at for at in self._of(first, ONE_DAY) if at > local), None)

    def before(self, local: datetime) -> datetime | None:
        return next((at for at in self._of(local.date(), -ONE_DAY) if at < local), None)

    def _of(self, first: date, step: timedelta) -> Iterator[datetime]:
        for n in range(10):  # a week, and the days at both ends that may be too early or too late
            day = first + n * step
            if day.weekday() in self.days:
                yield datetime.combine(day, time()) + timedelta(minutes=self.minute)


@dataclass(frozen=True)
class Cron(Recurrence):
    """An expression of cron with five fields."""

    expression: str

    def after(self, local: datetime) -> datetime | None:
        return self._next(local, reverse=False)

    def before(self, local: datetime) -> datetime | None:
        return self._next(local, reverse=True)

    def _next(self, local: datetime, reverse: bool) -> datetime | None:
        from cronsim import CronSim

        # Without a time zone: the library would treat a change of the clocks in a way of its own.
        found: datetime | None = next(CronSim(self.expression, local, reverse), None)
        return found


@dataclass(frozen=True)
class Dates:
    """Days, each from its first to its last: (year, month, day), or (0, month, day) for every year."""

    ranges: tuple[tuple[tuple[int, int, int], tuple[int, int, int]], ...]

    def __contains__(self, day: date) -> bool:
        return any(_within(first, last, day) for first, last in self.ranges)

    def next(self, day: date, step: timedelta) -> date | None:
        """Returns the next of them after a day, or, with a negative step, before it; None if there is none
        within years."""
        for _ in range(HORIZON):
            day += step
            if day in self:
                return day
        return None


def _within(first: tuple[int, int, int], last: tuple[int, int, int], day: date) -> bool:
    if first[0]:
        return first <= (day.year, day.month, day.day) <= last
    this = (0, day.month, day.day)
    return first <= this <= last if first <= last else this >= first or this <= last


@dataclass(frozen=True)
class Dated(Recurrence):
    """Those times of a recurrence that are on some dates."""

    times: Recurrence
    dates: Dates

    def after(self, local: datetime) -> datetime | None:
        found = self.times.after(local)
        while found is not None and found.date() not in self.dates:
            day = self.dates.next(found.date(), ONE_DAY)
            # From date to date, as cron may have a time every minute.
            found = self.times.after(datetime.combine(day, time()) - A_MOMENT) if day else None
        return found

    def before(self, local: datetime) -> datetime | None:
        found = self.times.before(local)
        while found is not None and found.date() not in self.dates:
            day = self.dates.next(found.date(), -ONE_DAY)
            found = self.times.before(datetime.combine(day, time()) + ONE_DAY) if day else None
        return found


def recurrence_of(text: str) -> Recurrence:
    """Parses "08:00", "Mon-Fri 08:00", or an expression of cron. Raises ConfigError."""
    if len(text.split()) == CRON_FIELDS and not WEEKLY.fullmatch(text.strip()):
        return _cron(text)
    found = WEEKLY.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"expected {EXPECTED}, got {quoted(text)}")
    minute = int(found["hour"]) * 60 + int(found["minute"])
    if int(found["minute"]) > 59 or minute > 24 * 60:
        raise ConfigError(f"expected a time from 00:00 to 24:00, got {quoted(text)}")
    return Weekly(_days(found["days"]), minute)


def _cron(text: str) -> Cron:
    try:
        from cronsim import CronSim, CronSimError
    except ImportError:
        raise ConfigError("cron needs an extra: pip install '.[schedule]' in the clone") from None
    try:
        CronSim(text, datetime(LEAP_YEAR, 1, 1))
    except CronSimError as error:
        raise ConfigError(f"is no expression of cron ({error}), got {quoted(text)}") from None
    return Cron(" ".join(text.split()))


def _days(text: str | None) -> frozenset[int]:
    if text is None:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin = _day(first.strip())
        end = _day(last.strip()) if last else begin
        # Fri-Mon goes over the end of the week.
        found |= {day % 7 for day in range(begin, end + (1 if end >= begin else 8))}
    return frozenset(found)


def _day(text: str) -> int:
    for names in (DAYS, LONG_DAYS):
        if text.capitalize() in names:
            return names.index(text.capitalize())
    other = nearest(text, (*DAYS, *LONG_DAYS))
    hint = f"; did you mean {other}?" if other else ""
    raise ConfigError(f"{quoted(text)} is no day: expected {alternatives(DAYS)}{hint}")


def range_of(text: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Parses "2026-12-25", "12-25" (every year), or two of them with .. between. Raises ConfigError."""
    first, dots, last = text.partition("..")
    found = _date(first.strip()), _date((last if dots else first).strip())
    if bool(found[0][0]) != bool(found[1][0]):
        raise ConfigError(f"a range has a year on both sides, or on none, got {quoted(text)}")
    if found[0][0] and found[0] > found[1]:
        raise ConfigError(f"ends before it begins, got {quoted(text)}")
    return found


def _date(text: str) -> tuple[int, int, int]:
    parts = re.fullmatch(r"(?:([0-9]{4})-)?([0-9]{2})-([0-9]{2})", text)
    if parts is not None:
        year, month, day = int(parts[1] or 0), int(parts[2]), int(parts[3])
        try:
            date(year if parts[1] else LEAP_YEAR, month, day)
        except ValueError:
            raise ConfigError(f"there is no such day, got {quoted(text)}") from None
        return year, month, day
    raise ConfigError(f'expected a date such as "2026-12-25" or, for every year, "12-25", got {quoted(text)}')
