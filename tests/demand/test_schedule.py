"""Windows of time: weeks, midnight, daylight saving, leap days, holidays and cron."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from microscaling.demand.schedule import Limits, Schedule, Window
from microscaling.utils.local_time import instant_of, local_of, zone_of
from microscaling.utils.recurrence import Dated, Dates, range_of, recurrence_of

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def window(begin: str, end: str, zone: str = BERLIN, *dates: str, least: int = 1) -> Window:
    start = recurrence_of(begin)
    if dates:
        start = Dated(start, Dates(tuple(range_of(each) for each in dates)))
    return Window(start, recurrence_of(end), zone_of(zone), Limits(least), f"{begin} to {end}")


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def shown(instant: float | None) -> str:
    return "never" if instant is None else local_of(instant, timezone.utc).isoformat(timespec="minutes")


OFFICE = ("Mon-Fri 08:00", "18:00")
NIGHT = ("Mon-Fri 22:00", "06:00")
WEEKEND = ("Fri 20:00", "Mon 06:00")
CRON = ("0 8 * * 1-5", "0 18 * * 1-5")


@pytest.mark.parametrize(
    ("times", "zone", "at", "until"),
    [
        # Begin and end: the first belongs to the window, the second does not.
        (OFFICE, BERLIN, "2026-11-30T06:59", "never"),
        (OFFICE, BERLIN, "2026-11-30T07:00", "2026-11-30T17:00"),
        (OFFICE, BERLIN, "2026-11-30T16:59", "2026-11-30T17:00"),
        (OFFICE, BERLIN, "2026-11-30T17:00", "never"),
        (OFFICE, BERLIN, "2026-11-29T12:00", "never"),
        # Midnight: Friday's night ends on Saturday, and Saturday has none.
        (NIGHT, "UTC", "2026-12-05T05:59", "2026-12-05T06:00"),
        (NIGHT, "UTC", "2026-12-05T22:00", "never"),
        (NIGHT, "UTC", "2026-12-07T02:00", "never"),
        # The end of the week, the month and the year.
        (WEEKEND, "UTC", "2026-12-06T12:00", "2026-12-07T06:00"),
        (WEEKEND, "UTC", "2027-01-02T12:00", "2027-01-04T06:00"),
        (("Sun 12:00", "Sat 12:00"), "UTC", "2026-12-04T12:00", "2026-12-05T12:00"),
        (("Sat-Sun 00:00", "24:00"), "UTC", "2026-12-05T23:59", "2026-12-06T00:00"),
        # Summer time begins on 29 March and ends on 25 October 2026 in Berlin, at 01:00 UTC.
        (OFFICE, BERLIN, "2026-03-27T06:30", "never"),
        (OFFICE, BERLIN, "2026-03-30T06:00", "2026-03-30T16:00"),
        (OFFICE, BERLIN, "2026-10-26T06:30", "never"),
        # 02:30 does not exist: the window opens when the clock jumps over it.
        (("02:30", "05:00"), BERLIN, "2026-03-29T01:00", "2026-03-29T03:00"),
        (("02:30", "05:00"), BERLIN, "2026-03-29T00:59", "never"),
        # Both ends are jumped over: there is no such window on this day.
        (("02:15", "02:45"), BERLIN, "2026-03-29T01:00", "never"),
        # 02:30 comes twice: the first counts, for the end and for the beginning.
        (("01:00", "02:30"), BERLIN, "2026-10-25T00:29", "2026-10-25T00:30"),
        (("01:00", "02:30"), BERLIN, "2026-10-25T01:15", "never"),
        (("02:30", "04:00"), BERLIN, "2026-10-25T00:30", "2026-10-25T03:00"),
        (("02:30", "04:00"), BERLIN, "2026-10-25T01:15", "2026-10-25T03:00"),
        # New York's summer time ends later than Berlin's: for a week they are five hours apart.
        (OFFICE, NEW_YORK, "2026-10-26T12:00", "2026-10-26T22:00"),
        (OFFICE, NEW_YORK, "2026-11-02T12:00", "never"),
        (OFFICE, NEW_YORK, "2026-11-02T13:00", "2026-11-02T23:00"),
        # Half an hour, and the south: summer time ends in April.
        (("08:00", "09:00"), "Australia/Lord_Howe", "2026-04-05T21:30", "2026-04-05T22:30"),
        (("08:00", "09:00"), "Asia/Kathmandu", "2026-04-05T02:15", "2026-04-05T03:15"),
        # Samoa has left out 30 December 2011: its window is not there.
        (("00:00", "24:00"), "Pacific/Apia", "2011-12-30T09:59", "2011-12-30T10:00"),
        (("00:00", "24:00"), "Pacific/Apia", "2011-12-30T10:00", "2011-12-31T10:00"),
        # Cron, and a mixture.
        (CRON, BERLIN, "2026-03-30T06:00", "2026-03-30T16:00"),
        (CRON, BERLIN, "2026-03-29T12:00", "never"),
        (("0 0 1 * *", "Mon 06:00"), "UTC", "2026-12-05T12:00", "2026-12-07T06:00"),
        (("0 0 L * *", "0 12 1 * *"), "UTC", "2028-02-29T12:00", "2028-03-01T12:00"),
        # As Debian's cron reads it: a step of days begins with a star, so the weekday has to hold as well.
        (("0 8 */2 * 1", "0 18 * * *"), "UTC", "2026-06-15T12:00", "2026-06-15T18:00"),
        (("0 8 */2 * 1", "0 18 * * *"), "UTC", "2026-06-08T12:00", "never"),
        (("0 8 */2 * 1", "0 18 * * *"), "UTC", "2026-06-17T12:00", "never"),
        (("0 8 1-31/2 * 1", "0 18 * * *"), "UTC", "2026-06-17T12:00", "2026-06-17T18:00"),
        (("0 8 * * 7", "0 18 * * *"), "UTC", "2026-06-07T12:00", "2026-06-07T18:00"),
        (("*/30 * * * *", "*/5 * * * *"), "UTC", "2026-12-05T12:34", "2026-12-05T12:35"),
        (("*/30 * * * *", "*/5 * * * *"), "UTC", "2026-12-05T12:36", "never"),
    ],
)  # fmt: skip
def test_when_a_window_is_open(times: tuple[str, str], zone: str, at: str, until: str) -> None:
    assert shown(window(*times, zone).until(utc(at))) == until


@pytest.mark.parametrize(
    ("dates", "at", "is_open"),
    [
        (["12-25"], "2026-12-25T23:59", True),
        (["12-25"], "2026-12-26T00:00", False),
        (["12-25"], "2031-12-25T00:00", True),
        (["2026-12-25"], "2027-12-25T00:00", False),
        (["12-24..01-01"], "2027-01-01T12:00", True),
        (["12-24..01-01"], "2027-01-02T00:00", False),
        (["12-24..01-01"], "2026-12-23T23:59", False),
        (["2026-12-24..2027-01-01"], "2027-12-24T12:00", False),
        (["02-29"], "2028-02-29T12:00", True),
        (["02-29"], "2027-03-01T00:00", False),
        (["02-28..03-01"], "2027-03-01T12:00", True),
        (["2028-02-29", "05-01"], "2026-05-01T12:00", True),
    ],
)
def test_days_of_holidays(dates: list[str], at: str, is_open: bool) -> None:
    assert (window("00:00", "24:00", "UTC", *dates).until(utc(at)) is not None) == is_open


@pytest.mark.parametrize(
    ("opens", "after", "at"),
    [
        (window(*OFFICE), "2026-11-29T12:00", "2026-11-30T07:00"),
        (window(*OFFICE), "2026-11-30T07:00", "2026-12-01T07:00"),
        (window(*OFFICE), "2026-03-27T17:00", "2026-03-30T06:00"),
        (window("02:15", "02:45"), "2026-03-28T12:00", "2026-03-30T00:15"),
        (window("02:30", "04:00"), "2026-10-25T00:30", "2026-10-26T01:30"),
        (window("00:00", "24:00", "UTC", "02-29"), "2026-03-01T00:00", "2028-02-29T00:00"),
        # 2100 is no leap year.
        (window("00:00", "24:00", "UTC", "02-29"), "2096-03-01T00:00", "2104-02-29T00:00"),
        (window("00:00", "24:00", "UTC", "2026-01-01"), "2026-03-01T00:00", "never"),
        (window("0 0 29 2 *", "24:00", "UTC"), "2026-03-01T00:00", "2028-02-29T00:00"),
        (window("* * * * *", "24:00", "UTC", "12-31"), "2026-03-01T00:00", "2026-12-31T00:00"),
    ],
)
def test_when_a_window_opens_next(opens: Window, after: str, at: str) -> None:
    assert shown(opens.next_start(utc(after))) == at


def test_the_first_open_window_counts() -> None:
    office, holiday = window(*OFFICE), window("00:00", "24:00", BERLIN, "12-25", least=0)
    schedule = Schedule((holiday, office))
    christmas = utc("2026-12-25T12:00")
    assert schedule.open_at(christmas) is holiday
    assert schedule.open_at(utc("2026-12-24T12:00")) is office
    assert schedule.next_change(utc("2026-12-24T18:00")) == (utc("2026-12-24T23:00"), holiday)
    assert schedule.next_change(christmas) == (utc("2026-12-25T23:00"), None)


def test_windows_without_a_gap_change_once() -> None:
    day, night = window("08:00", "20:00", "UTC"), window("20:00", "08:00", "UTC", least=2)
    schedule, now = Schedule((day, night)), utc("2026-12-24T12:00")
    assert schedule.next_change(now) == (utc("2026-12-24T20:00"), night)
    assert Schedule((window("00:00", "24:00", "UTC"),)).next_change(now) is None, "it is always open"


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, "Australia/Lord_Howe", "Africa/Casablanca", "UTC"])
def test_a_later_time_of_the_clock_is_never_an_earlier_instant(zone: str) -> None:
    days = [(3, 8), (3, 22), (3, 29), (4, 5), (10, 4), (10, 25), (11, 1)]
    minutes = [datetime(2026, *day) + timedelta(minutes=15 * n) for day in days for n in range(24)]
    instants = [instant_of(local, zone_of(zone)) for local in minutes]
    assert instants == sorted(instants)


def test_a_window_agrees_with_the_clock_minute_by_minute() -> None:
    """On ordinary days a window is open exactly while the clock shows its times."""
    office, zone = window("Mon,Wed 09:30", "17:15"), zone_of(BERLIN)
    begin = utc("2026-06-01T00:00")
    for minute in range(0, 7 * 1440, 7):
        at = begin + 60 * minute
        local = local_of(at, zone)
        clock = local.strftime("%H:%M")
        wanted = local.weekday() in (0, 2) and "09:30" <= clock < "17:15"
        assert (office.until(at) is not None) == wanted, local
