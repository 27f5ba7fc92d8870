"""The scheduler for services of Compose: that for containers, which makes room for Compose."""

from __future__ import annotations

import logging

from microscaling.demand.change import Change
from microscaling.demand.tasks import Tasks
from microscaling.errors import PermanentError
from microscaling.scheduler.compose.backend import ComposeBackend
from microscaling.scheduler.containers.backend import Event
from microscaling.scheduler.containers.container import Phase
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.containers.inventory import OTHERS_S
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from microscaling.scheduler.containers.updates import Updates

log = logging.getLogger("mssscheduler")

ENDED = (Phase.EXITED, Phase.REMOVING)
RESTS = "it rests, as it was stopped from outside"
FROZEN = "it is left alone, as it was paused from outside"
TOLD_WITHIN_S = 40.0
"""After this time the last copy of an earlier configuration is stopped. People may count on 60 s from the
`up` on, of which a pause of Compose's and the way to the engine are a part."""
STILL_S = 2.0
"""Seconds without a change by others before anything is done to a project: within one command, Compose takes
up to 1.5 s from one change to the next."""


class ComposeScheduler(ContainerScheduler):
    """Follows what Compose does, waits while it is at work, and keeps the number of containers otherwise."""

    backend: ComposeBackend
    prepares = False

    def __init__(self, backend: ComposeBackend, exit_timeout_s: float = float("inf")) -> None:
        super().__init__(backend, exit_timeout_s=exit_timeout_s)
        self._lacking: dict[str, str] = {}
        """By task, why it gets no containers."""
        self._set: dict[str, int] = {}
        """By task, the containers that Compose has left it with, until that is logged."""
        self._halted = float("inf")
        """Time of the request to end, monotonic seconds; infinite before."""
        self._late: set[str] = set()
        """Ids of the last copies that run then: a `down` that ends the agent, too, may not know them."""

    def count_all_tasks(self, tasks: Tasks) -> None:
        super().count_all_tasks(tasks)
        with self._change() as now:
            self._stand(now)
            self._say_what_was_set(now)
            self.reconciler.reconcile(now)
            acting = self.reconciler.acting and not self.reconciler.hold
            still = all(now >= until for until in self.reconciler.quiet.values())
        if still:  # not before, as an engine that ends stops all, which is no person's stop
            self.backend.remember()
        if acting:
            self.backend.clear_up()

    def on_event(self, event: Event) -> None:
        with self._change() as now:
            if event.foreign:
                self._be_still(event.task, now)
                if event.kind == "start" and event.task in self.reconciler.resting:
                    # A copy comes first, and the one that it was made from is still to come.
                    self.reconciler.quiet[event.task] = now + OTHERS_S
            container = self.reconciler.by_id.get(event.id)
            if event.kind == "start" and event.foreign:
                # Compose starts containers more than once: each time it is a new one here.
                if container is not None and not container.busy and container.phase in ENDED:
                    self.reconciler.forget(container)
                self.reconciler.tombstones.pop(event.id, None)
            self._stand(now)
        super().on_event(event)
        if event.foreign and event.kind in ("create", "destroy", "start"):
            with self._change():
                mine = self.reconciler.containers.get(event.task)
                if mine is None:  # of a service that is about to be taken in
                    return
                self._set[event.task] = sum(c.phase is Phase.RUNNING for c in mine)

    def halt(self, tasks: Tasks) -> None:
        super().halt(tasks)
        self._halted = self.clock()
        if self.tasks is None:
            return
        with self._change() as now:
            # A `down` that ends the agent, too, listed the containers before it began, and may not know
            # the last ones; nor does Ctrl-C know those that did not run yet, for however long they are there.
            made = self.backend.originals.made_since(now - STILL_S)
            for container in self.reconciler.all():
                if container.phase is Phase.RUNNING:
                    self._late |= made & {container.id}
                elif container.id in made or (
                    container.phase is Phase.STARTING and not self.backend.originals.is_original(container.id)
                ):
                    container.unwanted = True
            self.reconciler.reconcile(now)

    def idle(self, tasks: Tasks) -> bool:
        waits = self._late or (self.backend.ending and self.backend.originals.ours)
        return not (waits and self._may_end_with_others()) and super().idle(tasks)

    def drain(self, tasks: Tasks) -> None:
        self.backend.ending = True
        self._late.clear()  # all copies go
        super().drain(tasks)

    def cleanup(self) -> None:
        if self.backend.ending and self.backend.originals.ours:
            self._start_again()
        super().cleanup()

    def restart(self, tasks: Tasks, name: str) -> int:
        raise PermanentError("its containers are those of a Compose service: docker compose restart, or up")

    def _may_end_with_others(self) -> bool:
        """Returns True as long as it is open whether others of the project end, too; then marks the last
        copies if they do."""
        if self.tasks is None:
            return False
        with self._change() as now:
            # Compose asks all at once, or one service after the other, before the agent or after it.
            ends = self._others_end()
            if not ends and now < self._halted + STILL_S:
                return True
            if ends and self._late:
                log.info("the last copies go, as others of the project are stopped now")
                for container in self.reconciler.all():
                    container.unwanted |= container.id in self._late
            self._late.clear()
            self.reconciler.reconcile(now)
        return False

    def _others_end(self) -> bool:
        """True if others of the project were asked to end, about when the agent was."""
        return self.backend.originals.stirred_at >= self._halted - STILL_S

    def _start_again(self) -> None:
        """Leaves the originals as Compose had made them, unless all of the project ends."""
        if self._others_end():
            log.info("what the agent had stopped stays so, as others of the project are stopped now")
            return
        for failed in self.backend.start_again():
            log.error("a container that the agent had stopped could not be started again: %s", failed)

    def _make(self, tasks: Tasks) -> ContainerReconciler:
        reconciler, originals = super()._make(tasks), self.backend.originals
        reconciler.rank = originals.rank
        reconciler.keeps_outdated = False
        self.updates = Updates(reconciler, originals.stale, originals.is_ready, TOLD_WITHIN_S)
        self.backend.on_services(tasks.stale.set)
        return reconciler

    def _taken_over(self, change: Change, now: float) -> None:
        for task in change.tasks:  # Compose has just made its containers, or still does
            self._be_still(task.name, now)
            self._lacking.pop(task.name, None)  # it begins anew

    def _before_listing(self, now: float) -> None:
        self._stand(now)  # otherwise what has come up with its engine would go as if it still rested

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

    def _stand(self, now: float) -> None:
        """Has the tasks rest whose containers Compose has stopped, removed, or paused."""
        reconciler, originals = self.reconciler, self.backend.originals
        here = reconciler.by_name.keys() - reconciler.departing
        reconciler.resting = originals.resting(now) & here
        reconciler.beginning = originals.beginning(now)
        lacking = dict.fromkeys(originals.frozen(now) & here, FROZEN)
        lacking |= dict.fromkeys(reconciler.resting, RESTS)
        before, self._lacking = self._lacking, lacking
        if lacking == before:
            return
        for name in sorted(here):
            why, task = lacking.get(name), reconciler.by_name[name]
            if why == before.get(name):
                continue
            task.resting = why or ""
            if why is None:
                log.info("%s: is scaled again", name)
                # `start` goes from one to the next, on a busy machine for many seconds.
                for container in reconciler.containers[name]:
                    if container.by_others and container.phase is Phase.EXITED:
                        reconciler.stopped_by_others(container, True, now)
                reconciler.crash_backoffs.supplied(task)
                # Its demand is from then, and until the next decision nothing is too many.
                reconciler.quiet[name] = now + STILL_S
                continue
            until = "you unpause them" if why == FROZEN else "`docker compose start` or `up`"
            did = "paused" if why == FROZEN else "stopped, or removed"
            log.info("%s: rests: its containers were %s, until %s", name, did, until)
            # So its share of the cap is free for the others.
            reconciler.crash_backoffs.starve(task, now, why)
            task.failure = None

    def _say_what_was_set(self, now: float) -> None:
        for name in [name for name in self._set if now >= self.reconciler.quiet.get(name, now)]:
            count, task = self._set.pop(name), self.reconciler.by_name.get(name)
            if task is not None and name not in self._lacking and count != task.demand:
                log.info("Compose has set %s to %d; %d wanted", name, count, task.demand)
