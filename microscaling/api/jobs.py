"""The jobs of a task by their state, in reports and on pages."""

from __future__ import annotations

from typing import Any

from microscaling.metric.measurement import Measurement


def jobs_of(measured: Measurement) -> dict[str, Any]:
    """Returns a measurement, ready for JSON. Left out are a state without jobs, except for waiting, and all
    that is not known."""
    told: dict[str, Any] = {"waiting": measured.waiting}
    if measured.running is not None:
        told["running"] = measured.running
    told |= {name: n for name, n in (("stuck", measured.stuck), ("future", measured.future)) if n}
    if measured.paused:
        told["paused"] = True
    if measured.oldest_age_s is not None:
        told["oldestSeconds"] = max(0, round(measured.oldest_age_s))
    if not measured.exact:
        told["exact"] = False
    return told
