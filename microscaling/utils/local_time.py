"""Wall clocks: the instants at which the clock of a time zone shows a time.

An instant is in seconds since 1970; a local time is a `datetime` without a time zone.
"""

from __future__ import annotations

import functools
from datetime import datetime, timedelta, timezone, tzinfo

from microscaling.errors import ConfigError
from microscaling.utils.text import nearest, quoted

UTC = "UTC"


@functools.cache
def zone_of(name: str) -> tzinfo:
    """Returns the time zone with that name of the IANA database. Raises ConfigError."""
    # Only here, as it takes 3 ms that an agent without a schedule should not pay.
    from zoneinfo import ZoneInfo, available_timezones

    if name == UTC:  # also on a machine without the database
        return timezone.utc
    try:
        return ZoneInfo(name)
    # OSError for a name that is a folder, such as Europe.
    except (KeyError, ValueError, OSError):
        known = available_timezones()
    if not known:
        raise ConfigError("this machine has no time zones: pip install '.[schedule]' in the clone")
    other = nearest(name, known) if "/" in name else ""
    raise ConfigError(
        f"there is no time zone {quoted(name)}"
        + (f"; did you mean {other}?" if other else ": expected a name such as Europe/Berlin")
    )


def local_of(instant: float, zone: tzinfo) -> datetime:
    """Returns the time that the clock of a zone shows."""
    return datetime.fromtimestamp(instant, zone).replace(tzinfo=None)


def instant_of(local: datetime, zone: tzinfo) -> float:
    """Returns the first instant at which the clock of a zone shows a time, or jumps over it.

    So a time that comes twice at the end of summer time counts once, and one that is left out at its
    beginning is the moment of the change. Of two times the earlier one never has the later instant.
    """
    before, after = (local.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    if local_of(before, zone) == local:
        return before
    # In a gap the two are computed with the offsets of its other side: the change is between them.
    low, high = int(after), int(before)
    offset = _offset(high, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(middle, zone) == offset else (middle, high)
    return float(high)


def _offset(instant: float, zone: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(instant, zone).utcoffset()
