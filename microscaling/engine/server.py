"""The SERVER engine: carries out the decisions of the server."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from microscaling.api.demand import BadMessage, read_demand
from microscaling.clients.websocket.connection import Connection
from microscaling.demand.reason import Reason
from microscaling.demand.tasks import Tasks
from microscaling.engine import scaling
from microscaling.engine.base import Counts, Engine, Slot, put_closed, put_token
from microscaling.engine.decider import changes_since, count_changes, demands_of, say
from microscaling.engine.meter import MeterThread
from microscaling.utils.failure_log import FailureLog
from microscaling.utils.text import few
from microscaling.utils.threads import StoppableThread, stop_all

log = logging.getLogger("mssengine")

POLL_INTERVAL_S = 0.5
"""Interval of the comparison with the server's demand, if no event comes earlier."""
JOIN_S = 5.0
SOURCES_JOIN_S = 0.25
WANTS = "the server wants {}"


class ServerEngine(Engine):
    """Sets every task's demand to the server's latest number, within the cap and the minimums, and measures
    for the monitor's reports.

    Before the first message of the server there is no decision; while it is away demand stays as it was.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self._meter: MeterThread | None = None

    def get_demand(self, tasks: Tasks, demand_update: Slot) -> None:
        thread = DemandThread(self, tasks, demand_update)
        _say_what_counts_for_nothing(tasks)
        with tasks:
            self._meter = meter = MeterThread(tasks, followed=self._supervise)
        self.threads = [thread]
        for each in [thread, *meter.threads]:
            each.start()
        self.connection.open(self, thread.hear)
        self._supervise()

    def _supervise(self) -> None:
        """Updates the threads for the supervision by the agent."""
        measuring = self._meter.threads if self._meter else []
        self.threads = [*self.threads[:1], *measuring, *self.connection.threads]

    def counts(self) -> Counts:
        if self._meter is None:
            return Counts()
        return Counts.of(self._meter.beats, self._meter.sources.readings.polls)

    def stop_demand(self, demand_update: Slot) -> None:
        """Stops all threads, leaves the connection, and closes the slot."""
        if stop_all(self.threads[:1], JOIN_S):  # the only one that puts tokens, so it goes first
            log.error("the engine's thread does not end")
        if self._meter is not None:
            stop_all([self._meter], SOURCES_JOIN_S)  # before the sources, as it starts more of them
            # No long wait for a hanging source: its thread ends with the request, and makes no decision.
            stop_all([*self._meter.threads, *self._meter.sources.ended], SOURCES_JOIN_S)
        self.connection.close(self)
        put_closed(demand_update)


class DemandThread(StoppableThread):
    """Applies the server's demand, now and after each change by the scheduler."""

    def __init__(self, engine: ServerEngine, tasks: Tasks, demand_update: Slot) -> None:
        super().__init__("server engine")
        self.engine = engine
        self.tasks = tasks
        self.slot = demand_update
        self.wants: dict[str, int] = {}
        """Containers by task, from the server's latest message for each. Guarded by the lock of `tasks`."""
        self.nonsense = FailureLog()

    def stop(self) -> None:
        super().stop()
        self.tasks.changed.set()

    def hear(self, message: bytes) -> None:
        """Takes a message of the server; called in the connection's thread."""
        try:
            demand = read_demand(message)
        except BadMessage as error:
            if self.nonsense.failed(time.monotonic()):
                log.warning("ignored an invalid message of the server: %s", error)
            return
        self.nonsense.recovered()
        with self.tasks as tasks:
            here = {task.name for task in tasks.tasks}
            # Those of the message stay, even if they are not known: a task may come later.
            self.wants = {name: count for name, count in self.wants.items() if name in here} | demand
            if here & demand.keys():
                tasks.changed.set()
        if unknown := demand.keys() - here:
            log.debug("the server's message has %d tasks that are not known here", len(unknown))

    def cycle(self) -> None:
        self.tasks.changed.wait(POLL_INTERVAL_S)
        if self.stopped.is_set():
            return
        with self.tasks as tasks:
            tasks.changed.clear()
            if not any(task.name in self.wants for task in tasks.tasks):
                return
            before = demands_of(tasks)
            if not tasks.hold:
                fulfil(tasks, self.wants)
            changes = changes_since(before)
            count_changes(tasks, before, changes, time.monotonic())
        say(changes)
        # The scheduler acts only after the first decision, and then repairs and cleans up, even if that
        # decision changed nothing.
        if changes or not self.engine.decided.is_set():
            put_token(self.slot)
        self.engine.decided.set()


def _say_what_counts_for_nothing(tasks: Tasks) -> None:
    """Warns of settings without an effect: a task that cannot be measured is reported as held, and the server
    decides."""
    own = [t.name for t in tasks.tasks if t.fallback is not None or t.scale_down_window_s]
    if own:
        log.warning("%s: fallback and scale-down window have no effect: the server decides", few(own))


def fulfil(tasks: Tasks, wants: Mapping[str, int]) -> None:
    """Sets demand to the wanted numbers, then guards. A second call changes nothing. The caller holds the
    lock."""
    before = [(task, task.demand, task.reason) for task in tasks.tasks]
    for task, demand, _ in before:
        wanted = wants.get(task.name, demand)
        if wanted != demand and not task.backing_off:  # demand.limits sets it in a back-off
            task.demand = wanted
            task.reason = Reason(WANTS.format(wanted), demand, wanted)
    # Readings decide nothing here, so a task without one gives like any other.
    scaling.guard(tasks, by_readings=False)
    for task, demand, reason in before:
        if task.demand == demand:
            task.reason = reason
