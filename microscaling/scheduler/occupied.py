"""Places under the cap that cannot be shared out, and the containers on them."""

from __future__ import annotations

from microscaling.demand.tasks import Tasks

NOT_STOPPING = "{} not stopping"
NOT_ANSWERED = "{} not scaled down by the orchestrator"
PAUSED = "{} paused from outside"
KEPT = "{} kept for another try"


class Occupied:
    """Sums up the notes of several parts of a scheduler in `occupied` and `occupied_by` of the tasks."""

    # Such a container is part of no task's demand and keeps its place for an unknown time. Without the note
    # its place would be given to another one, which would wait in vain.
    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self._noted: dict[tuple[str, str], int] = {}

    def of(self, why: str, name: str) -> int:
        """Returns the noted places of this task for this reason."""
        return self._noted.get((why, name), 0)

    def note(self, why: str, name: str, count: int) -> None:
        """Sets the number of places of this task for one reason; `why`: a text with {} for "2 of NAME"."""
        if count == self.of(why, name):
            return
        self._noted[why, name] = count
        noted = sorted((why, name, count) for (why, name), count in self._noted.items() if count)
        self._noted = {(why, name): count for why, name, count in noted}
        self.tasks.occupied = sum(self._noted.values())
        self.tasks.occupied_by = " and ".join(why.format(f"{count} of {name}") for why, name, count in noted)
        self.tasks.changed.set()
