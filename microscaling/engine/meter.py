"""Measurements for an engine that gets its decisions from the server."""

from __future__ import annotations

import time
from collections.abc import Callable

from microscaling.demand.tasks import Tasks
from microscaling.engine.beats import Beats
from microscaling.engine.sources import FIRST_PATIENCE_BEATS, PATIENCE_BEATS, Sources
from microscaling.utils.threads import StoppableThread

BEAT_S = 0.5


class MeterThread(StoppableThread):
    """Measures every task twice a second, for the reports by which the server decides."""

    def __init__(
        self,
        tasks: Tasks,
        beat_s: float = BEAT_S,
        clock: Callable[[], float] = time.monotonic,
        followed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__("meter")
        self.tasks = tasks
        self.followed = followed
        """Called after a change of the threads."""
        self.clock = clock
        self.sources = Sources(tasks.tasks, beat_s, clock)
        self.beats: Beats | None = None

    def stop(self) -> None:
        super().stop()
        self.sources.answered.set()

    @property
    def threads(self) -> list[StoppableThread]:
        """This thread, and those of the sources."""
        return [self, *self.sources.threads]

    def cycle(self) -> None:
        if self.tasks.generation != self.sources.generation:
            with self.tasks as tasks:
                come = self.sources.follow(tasks)
            for thread in come:
                thread.start()
            self.followed()
        self.sources.collect(FIRST_PATIENCE_BEATS if self.beats is None else PATIENCE_BEATS, self.stopped)
        if self.stopped.is_set():
            return
        now = self.clock()
        # Only now, so the wait for the first answers misses no beat.
        self.beats = self.beats or Beats(self.sources.beat_s, now)
        self.sources.readings.judge(now)
        with self.tasks:
            self.sources.readings.apply()
        self.stopped.wait(max(0.0, self.beats.next(self.clock()) - self.clock()))
