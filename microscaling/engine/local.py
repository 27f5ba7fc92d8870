"""The engine that decides by itself, from what it measures."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from microscaling.demand.tasks import Tasks
from microscaling.engine.base import Engine, Slot, put_closed, put_token
from microscaling.engine.beats import Beats
from microscaling.engine.decider import Decider
from microscaling.engine.readings import Poll, Readings
from microscaling.utils.episode import Episode
from microscaling.utils.threads import StoppableThread, stop_all

log = logging.getLogger("mssengine")

BEAT_S = 0.5
"""The velocity term of the controller counts on it."""
MAX_AGE_BEATS = 3
FIRST_PATIENCE_BEATS = 2.0
PATIENCE_BEATS = 0.25
JOIN_S = 5.0
SOURCES_JOIN_S = 0.25


class SourceThread(StoppableThread):
    """Asks one source whenever it is told to; while it waits for the answer nobody else does."""

    def __init__(self, poll: Poll, clock: Callable[[], float], answered: threading.Event) -> None:
        super().__init__(f"source {poll.source.name}")
        self.poll = poll
        self.clock = clock
        self.answered = answered
        self.wanted = threading.Event()

    def stop(self) -> None:
        super().stop()
        self.wanted.set()

    def cycle(self) -> None:
        self.wanted.wait()
        self.wanted.clear()
        if not self.stopped.is_set():
            self.poll.ask(self.clock)
            self.answered.set()

    def on_exit(self) -> None:
        self.poll.source.close()


class BeatThread(StoppableThread):
    """Asks, waits a little, decides; then looks after what changes until the next beat."""

    def __init__(self, engine: LocalEngine, tasks: Tasks, demand_update: Slot) -> None:
        super().__init__("local engine")
        self.engine = engine
        self.tasks = tasks
        self.slot = demand_update
        self.clock = engine.clock
        self.answered = threading.Event()
        self.readings = Readings(tasks.tasks, MAX_AGE_BEATS * engine.beat_s)
        self.decider = Decider(tasks, self.readings)
        self.sources = {
            poll: SourceThread(poll, self.clock, self.answered) for poll in self.readings.polls
        }
        self.beats: Beats | None = None
        self.late = Episode()

    def stop(self) -> None:
        super().stop()
        self.answered.set()
        self.tasks.changed.set()

    def cycle(self) -> None:
        self._collect(FIRST_PATIENCE_BEATS if self.beats is None else PATIENCE_BEATS)
        if self.stopped.is_set():
            return
        now = self.clock()
        if self.beats is None:  # only now, so that waiting for the first answers misses no beat
            self.beats = Beats(self.engine.beat_s, now)
        changed = self.decider.beat(now)
        # The scheduler touches nothing before the first decision, and then repairs and cleans up,
        # even if that decision was to leave everything as it is.
        self._notify(changed or not self.engine.decided.is_set())
        self.engine.decided.set()
        self._between(self._next_beat(self.beats))

    def _collect(self, patience_beats: float) -> None:
        """Asks every idle source, and waits for those that answered in time when last asked."""
        patience_s = patience_beats * self.engine.beat_s
        now = self.clock()
        for poll in self.readings.start(now, patience_s):
            self.sources[poll].wanted.set()
        while not self.stopped.is_set():
            self.answered.clear()
            left = now + patience_s - self.clock()
            if left <= 0 or not self.readings.awaited():
                break
            if not self.stopped.is_set():
                self.answered.wait(left)
        self.readings.give_up()

    def _between(self, due: float) -> None:
        """Until the next beat is due: whenever something has changed, allocates once more."""
        while not self.stopped.is_set() and (left := due - self.clock()) > 0:
            if self.tasks.changed.wait(left) and not self.stopped.is_set():
                self._notify(self.decider.extra())

    def _next_beat(self, beats: Beats) -> float:
        due = beats.next(self.clock())
        if not beats.missed:
            self.late.works()
        elif self.late.fails(self.clock()):
            log.warning("too busy for a beat every %g s: %d left out", beats.beat_s, beats.missed)
        return due

    def _notify(self, changed: bool) -> None:
        if changed:
            put_token(self.slot)


class LocalEngine(Engine):
    """Measures every `beat_s` seconds, one request per source, and decides by itself."""

    def __init__(self, beat_s: float = BEAT_S, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.beat_s = beat_s
        self.clock = clock

    def get_demand(self, tasks: Tasks, demand_update: Slot) -> None:
        with tasks:
            thread = BeatThread(self, tasks, demand_update)
        self.threads = [thread, *thread.sources.values()]
        for each in self.threads:
            each.start()

    def stop_demand(self, demand_update: Slot) -> None:
        """A source that hangs is not waited for: its thread ends with the request, and decides
        nothing."""
        beat, sources = self.threads[:1], self.threads[1:]
        for thread in self.threads:
            thread.stop()
        if stop_all(beat, JOIN_S):  # the only one that puts tokens, so it goes first
            log.error("the engine's thread does not end")
        stop_all(sources, SOURCES_JOIN_S)
        put_closed(demand_update)
