"""The LOCAL engine: decides in this process, from its own measurements."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from microscaling.demand.tasks import Tasks
from microscaling.engine.base import Counts, Engine, Slot, put_closed, put_token
from microscaling.engine.beats import Beats
from microscaling.engine.decider import Decider
from microscaling.engine.early import Early
from microscaling.engine.sources import FIRST_PATIENCE_BEATS, PATIENCE_BEATS, Sources
from microscaling.utils.failure_log import FailureLog
from microscaling.utils.threads import StoppableThread, stop_all

log = logging.getLogger("mssengine")

BEAT_S = 0.5
"""Seconds between two measurements; the controller's velocity term is tuned for it."""
LOOK_S = 0.05
"""Seconds between two looks at a cheap source, in between."""
JOIN_S = 5.0
SOURCES_JOIN_S = 0.25


class BeatThread(StoppableThread):
    """Collects readings, decides, and reallocates on changes until the next beat."""

    def __init__(self, engine: LocalEngine, tasks: Tasks, demand_update: Slot) -> None:
        super().__init__("local engine")
        self.engine = engine
        self.tasks = tasks
        self.slot = demand_update
        self.clock = engine.clock
        early = Early(engine.beat_s, tasks.changed.set)
        self.sources = Sources(tasks.tasks, engine.beat_s, self.clock, early, engine.look_s)
        self.decider = Decider(tasks, self.sources.readings, engine.scale_down_window_s)
        self.beats: Beats | None = None
        self.late = FailureLog()

    def stop(self) -> None:
        super().stop()
        self.sources.answered.set()
        self.tasks.changed.set()

    def cycle(self) -> None:
        if self.tasks.generation != self.sources.generation:
            self._follow()
        self.sources.collect(FIRST_PATIENCE_BEATS if self.beats is None else PATIENCE_BEATS, self.stopped)
        if self.stopped.is_set():
            return
        now = self.clock()
        if self.beats is None:  # only now, so the wait for the first answers misses no beat
            self.beats = Beats(self.engine.beat_s, now)
        changed = self.decider.beat(now)
        # The scheduler acts only after the first decision, and then repairs and cleans up, even if that
        # decision changed nothing.
        self._notify(changed or not self.engine.decided.is_set())
        self.engine.decided.set()
        self._between(self._next_beat(self.beats))

    def _follow(self) -> None:
        """Takes over a change of the configuration."""
        with self.tasks as tasks:
            since = self.sources.generation
            come = self.sources.follow(tasks)
            self.decider.follow(since)
        for thread in come:
            thread.start()
        self.engine.threads = [self, *self.sources.threads]

    def _between(self, due: float) -> None:
        """Until the next beat, reallocates after each change that the scheduler reports, and decides by the
        sources that report one, or show it."""
        while not self.stopped.is_set() and (left := due - self.clock()) > 0:
            answered, seen = self.sources.ask_early(), self.sources.seen()
            if answered or seen:
                self._notify(self.decider.early(self.clock(), answered, seen))
                continue  # one that has reported a change meanwhile is not waited for
            changed = self.tasks.changed.wait(left)
            # The process may have been frozen meanwhile: then the readings are old.
            if changed and not self.stopped.is_set() and self.clock() < due:
                self._notify(self.decider.reallocate(self.clock()))

    def _next_beat(self, beats: Beats) -> float:
        due = beats.next(self.clock())
        if not beats.missed:
            self.late.recovered()
        elif self.late.failed(self.clock()):
            log.warning("too busy for a beat every %g s: %d skipped", beats.beat_s, beats.missed)
        return due

    def _notify(self, changed: bool) -> None:
        if changed:
            put_token(self.slot)


class LocalEngine(Engine):
    """Measures every `beat_s` seconds, with one request per source, and decides by itself.

    `look_s`: seconds between two looks at a cheap source between the beats, 0: none. `scale_down_window_s`:
    stabilisation window (seconds) of the scale-down of tasks without one of their own.
    """

    def __init__(
        self,
        beat_s: float = BEAT_S,
        clock: Callable[[], float] = time.monotonic,
        scale_down_window_s: float = 0.0,
        look_s: float = 0.0,
    ) -> None:
        super().__init__()
        self.look_s = look_s
        self.beat_s = beat_s
        self.clock = clock
        self.scale_down_window_s = scale_down_window_s
        self._beat: BeatThread | None = None

    def get_demand(self, tasks: Tasks, demand_update: Slot) -> None:
        with tasks:
            self._beat = thread = BeatThread(self, tasks, demand_update)
        self.threads = [thread, *thread.sources.threads]
        for each in self.threads:
            each.start()

    def counts(self) -> Counts:
        if self._beat is None:
            return Counts()
        return Counts.of(self._beat.beats, self._beat.sources.readings.polls)

    def stop_demand(self, demand_update: Slot) -> None:
        """Stops all threads and closes the slot."""
        for thread in self.threads:  # all at once, so the waits below overlap
            thread.stop()
        # The only one that puts tokens, and that starts threads of sources, so it goes first.
        if stop_all(self.threads[:1], JOIN_S):
            log.error("the engine's thread does not end")
        # No long wait for a hanging source: its thread ends with the request, and makes no decision.
        stop_all([*self.threads[1:], *(self._beat.sources.ended if self._beat else ())], SOURCES_JOIN_S)
        put_closed(demand_update)
