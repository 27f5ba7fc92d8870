"""The scheduler for services of Compose: that for containers, which makes room for Compose."""

from __future__ import annotations

import logging

from microscaling.demand.change import Change
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.compose.backend import ComposeBackend
from microscaling.scheduler.containers.backend import Event
from microscaling.scheduler.containers.container import Phase
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.containers.reconciler import ContainerReconciler

log = logging.getLogger("mssscheduler")

ENDED = (Phase.EXITED, Phase.REMOVING)
RESTS = "it rests, as it was stopped from outside"
STILL_S = 2.0
"""Seconds without a change by somebody else before anything is done to a project: within one command,
Compose takes up to 1.5 s from one change to the next."""


class ComposeScheduler(ContainerScheduler):
    """Follows what Compose does, waits while it is at work, and keeps the number of containers otherwise."""

    takes_changes = True
    backend: ComposeBackend
    prepares = False

    def __init__(self, backend: ComposeBackend) -> None:
        super().__init__(backend)

    def on_event(self, event: Event) -> None:
        with self._change() as now:
            if event.foreign:
                self._be_still(event.task, now)
            container = self.reconciler.by_id.get(event.id)
            if event.kind == "start" and event.foreign:
                # Compose starts containers more than once: each time it is a new one here.
                if container is not None and not container.busy and container.phase in ENDED:
                    self.reconciler.forget(container)
                self.reconciler.tombstones.pop(event.id, None)
            self._rest(now)
        super().on_event(event)

    def drain(self, tasks: Tasks) -> None:
        self.backend.ending = True
        super().drain(tasks)

    def cleanup(self) -> None:
        if self.backend.ending:
            for failed in self.backend.start_again():
                log.error("a container that the agent had stopped could not be started again: %s", failed)
        super().cleanup()

    def _make(self, tasks: Tasks) -> ContainerReconciler:
        reconciler = super()._make(tasks)
        reconciler.rank = self.backend.originals.rank
        self.backend.on_services(tasks.stale.set)
        return reconciler

    def _taken_over(self, change: Change, now: float) -> None:
        for task in change.tasks:  # Compose has just made its containers, or still does
            self._be_still(task.name, now)

    def _list(self) -> None:
        super()._list()
        with self._change() as now:
            self._rest(now)
            self._replace_one(now)
            self.reconciler.reconcile(now)

    def _be_still(self, task: str, now: float) -> None:
        """Leaves all services of the project alone for a while."""
        # All services of the project, as one command of Compose goes from one to the next.
        project = task.rpartition("/")[0]
        names = [name for name in self.reconciler.by_name if name.rpartition("/")[0] == project]
        if all(self.reconciler.quiet.get(name, 0.0) <= now for name in names):
            log.info(
                "%s: somebody else changes its containers, as docker compose does: nothing is done to %s "
                "until that has been still for %g s", task, project or "the project", STILL_S,
            )  # fmt: skip
        self.reconciler.quiet |= dict.fromkeys(names, now + STILL_S)

    def _rest(self, now: float) -> None:
        """Has the tasks rest whose containers Compose has stopped or removed."""
        here = self.reconciler.by_name.keys() - self.reconciler.departing
        resting = self.backend.originals.resting(now) & here
        for name in sorted(resting - self.reconciler.resting):
            log.info("%s: rests: its containers were stopped, or removed, until Compose starts them", name)
            # So its share of the cap is free for the others.
            self.reconciler.crash_backoffs.starve(self.reconciler.by_name[name], now, RESTS)
        for name in sorted(self.reconciler.resting - resting):
            log.info("%s: no longer rests", name)
            self.reconciler.crash_backoffs.supplied(self.reconciler.by_name[name])
        self.reconciler.resting = resting

    def _replace_one(self, now: float) -> None:
        """Replaces one copy of an earlier configuration of each task, if nothing else is under way there."""
        for name, task in self.reconciler.by_name.items():
            mine = self.reconciler.containers[name]
            still = self.reconciler.quiet.get(name, 0.0) <= now and name not in self.reconciler.resting
            if not still or not all(one.stays and one.phase is Phase.RUNNING for one in mine):
                continue
            # One at a time, so that the service keeps the others.
            for id in self.backend.originals.stale(name)[:1]:
                one = self.reconciler.by_id.get(id)
                if one is not None and len(mine) <= task.demand:
                    log.info("%s: %s is of an earlier configuration: it is replaced", name, one.short_id)
                    one.unwanted = True
