"""Places under the cap that cannot be shared out, and who has them."""

from __future__ import annotations

from microscaling.demand.tasks import Tasks

NOT_STOPPING = "{} not stopping"
NOT_ANSWERED = "{} not scaled down by the orchestrator"
PAUSED = "{} paused by somebody"
KEPT = "{} kept for another try"


class Occupied:
    """Writes `occupied` and `occupied_by` of the tasks, from what several parts of a scheduler note.

    A container that is in no task's demand, but keeps its place for nobody knows how long, would else have
    its place given to another one, which would wait for it in vain.
    """

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self._noted: dict[tuple[str, str], int] = {}

    def of(self, why: str, name: str) -> int:
        """How many places of this task are noted for this reason."""
        return self._noted.get((why, name), 0)

    def note(self, why: str, name: str, count: int) -> None:
        """So many places of this task from now on; `why`: a text with {} for "2 of NAME"."""
        if count == self.of(why, name):
            return
        self._noted[why, name] = count
        noted = sorted((why, name, count) for (why, name), count in self._noted.items() if count)
        self._noted = {(why, name): count for why, name, count in noted}
        self.tasks.occupied = sum(self._noted.values())
        self.tasks.occupied_by = " and ".join(why.format(f"{count} of {name}") for why, name, count in noted)
        self.tasks.changed.set()
