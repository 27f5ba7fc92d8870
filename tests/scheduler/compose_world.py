"""The scheduler for services of Compose without an engine, at a time that the test sets."""

from __future__ import annotations

from microscaling.clients.docker.compose import COPY_OF, NUMBER
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.compose.backend import ComposeBackend
from microscaling.scheduler.compose.scheduler import ComposeScheduler
from microscaling.scheduler.containers.backend import ListedContainer, State

OWN = {NUMBER: "1"}
COPY = {NUMBER: "2", COPY_OF: "o1"}


class ComposeWorld:
    """One service, web, with a container of Compose's, `o1`, and a copy of it, `c2`. Both run."""

    def __init__(self, demand: int = 2) -> None:
        self.now = 100.0
        self.task = Task("web", demand=demand, max_containers=4)
        self.tasks = Tasks([self.task], 10)
        self.scheduler = ComposeScheduler(ComposeBackend("unix:///nowhere"))
        self.scheduler.clock = lambda: self.now
        self.scheduler.reconciler = self.scheduler._make(self.tasks)
        self.scheduler.tasks = self.tasks
        self.originals = self.scheduler.backend.originals
        for kind in ("create", "start"):
            self.originals.event("o1", kind, "web", OWN, "", self.now, mine=False)
        self.originals.created("c2", "web", COPY, self.now)
        self.originals.started("c2")
        self.list(o1=State.RUNNING, c2=State.RUNNING)
        self.task.demand = demand

    def list(self, **states: State) -> None:
        """A listing with these containers in these states."""
        found = [ListedContainer(id, "web", state, float(id[1:])) for id, state in states.items()]
        listing = self.scheduler.listing
        listing.apply(listing.ask(), found, self.now)

    def close(self) -> None:
        self.scheduler.backend.ending = False  # there is no engine that could start anything again
        self.scheduler.cleanup()
