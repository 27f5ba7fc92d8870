"""The order in which the containers of a task go, if some must."""

from __future__ import annotations

from dataclasses import dataclass, replace

from microscaling.demand.drain import Activity


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts of one container, at one moment."""

    order: int
    """Its serial number: the newest has the highest."""
    works: bool = True
    """It runs, and was healthy at least once if it has a health check."""
    activity: Activity = Activity.UNKNOWN
    since: float = 0.0
    """The time since when it has had this activity, monotonic seconds."""
    draining: bool = False
    """It is on its way already."""
    renewed: bool = False
    """It is of the present configuration, and others are still to be replaced."""

    def without_work(self) -> Standing:
        """Returns that of a container that does no work yet."""
        return replace(self, works=False)


def goes_before(standing: Standing) -> tuple[int, float, bool, int]:
    """Returns a key by which the first to go is the smallest.

    First those that do no work yet, then the idle ones, then those that are draining, then the one that has
    been busy, or unknown, for the shortest time. Among equals those go that would be replaced anyway, and
    then the newest.
    """
    # A container that has never worked has no job to lose.
    if not standing.works:
        return 0, 0.0, False, -standing.order
    if standing.activity is Activity.IDLE:
        return 1, 0.0, standing.renewed, -standing.order
    # Two of them would change places with each job that begins, so those on their way stay on it.
    if standing.draining:
        return 2, 0.0, standing.renewed, -standing.order
    return 3, -standing.since, standing.renewed, -standing.order
