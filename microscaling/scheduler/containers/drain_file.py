"""The drains under way, in a file for the next agent: it goes on with them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

log = logging.getLogger("mssscheduler")

MOST_S = 30 * 86400.0
"""A longer drain is a mistake of a clock."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The state of one container; times are monotonic seconds."""

    since: float | None
    """The begin of its drain; None: it is wanted again."""
    quieted: bool
    """It was asked to take no new job."""
    frozen: float | None = None
    """The time at which it was to be frozen; None: it runs."""
    warm: bool = False
    """It was never told go."""


class DrainFile:
    """A file with the state of each container that drains, was quieted or frozen, by id. Without a
    path nothing is kept. For one thread at a time."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._written: Mapping[str, Kept] = {}
        self.found = False
        """There is one, so what it does not name was not frozen by the agent."""
        self._said = False

    def read(self, now: float) -> dict[str, Kept]:
        """Returns the state that the last agent has left; empty if there is none, or it cannot be read.
        `now`: monotonic seconds."""
        try:
            with open(self.path, encoding="utf-8") as file:
                found = json.load(file)
            kept = {str(id): _parsed(entry, now) for id, entry in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
            if self.path:
                log.warning("%s: the drains of the last agent cannot be read (%.80s)", self.path, error)
            return {}
        self._written, self.found = kept, True
        return dict(kept)

    def write(self, kept: Mapping[str, Kept], now: float) -> None:
        """Replaces the state, if it is another one."""
        if not self.path or (kept == self._written and self.found):
            return
        wall, boot = time.time() - now, boot_id()
        entries = {
            id: {"since": None if one.since is None else round(one.since + wall, 3), "quieted": one.quieted,
                 "monotonic": one.since, "boot": boot}
            | ({} if one.frozen is None else
               {"frozen": round(one.frozen + wall, 3), "frozenMonotonic": one.frozen})
            | ({"warm": True} if one.warm else {})
            for id, one in sorted(kept.items())
        }  # fmt: skip
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            new = f"{self.path}.new"
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(entries, file)
            os.replace(new, self.path)
            self._written, self.found = dict(kept), True
        except OSError as error:
            # By an old one the next agent would take what is frozen from now on for paused by others, for
            # ever. On a full disk it can be removed all the same.
            with contextlib.suppress(OSError):
                os.unlink(self.path)
                self.found = False
            if not self._said:
                self._said = True
                why = error.strerror or error
                log.warning(
                    "MSS_STATE_DIR: %s cannot be written (%s): the next agent would not know the drains",
                    self.path,
                    why,
                )


def boot_id() -> str:
    """Returns the name of the machine's present run, during which the monotonic clock goes on; "" if there is
    none here."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


def _parsed(entry: Mapping[str, object], now: float) -> Kept:
    since, quieted, frozen = entry["since"], entry["quieted"], entry.get("frozen")
    numbers = (int, float, type(None))
    if not (isinstance(quieted, bool) and isinstance(since, numbers) and isinstance(frozen, numbers)):
        raise TypeError("an entry has another form")
    same_boot = entry.get("boot") == (boot_id() or None)
    return Kept(
        _time_of(since, entry.get("monotonic") if same_boot else None, now),
        quieted,
        _time_of(frozen, entry.get("frozenMonotonic") if same_boot else None, now),
        entry.get("warm") is True,
    )


def _time_of(wall: float | None, up: object, now: float) -> float | None:
    """Returns a time of the wall clock in monotonic seconds; `up`: the same by the monotonic clock."""
    if wall is None:
        return None
    # A clock that is set forward must not end all drains, and this one goes on until the next start.
    if isinstance(up, float) and up <= now:
        return up
    return now - min(max(0.0, time.time() - wall), MOST_S)
