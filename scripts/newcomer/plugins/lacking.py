"""LACKING: a scheduler whose library is missing."""

from __future__ import annotations

from collections.abc import Mapping

from microscaling.scheduler.base import Scheduler, SchedulerPlugin
from microscaling.settings import Settings


def make(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """Raises ImportError."""
    import no_such_library

    made: Scheduler = no_such_library.Scheduler()
    return made


TYPE = SchedulerPlugin("LACKING", "nothing", make)
