"""The requests to all sources, one thread for each."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.early import Early
from microscaling.engine.poll import Poll, Reading
from microscaling.engine.readings import MAX_AGE_BEATS, Readings
from microscaling.utils.threads import StoppableThread

FIRST_PATIENCE_BEATS = 2.0
PATIENCE_BEATS = 0.25
REST = 10.0
"""Times that a look took, between it and the next one."""


class SourceThread(StoppableThread):
    """Asks one source after each `ask`; a source that hangs delays no other. In between it looks at a cheap
    one by itself, every `look_s` seconds (0: never)."""

    def __init__(
        self,
        poll: Poll,
        clock: Callable[[], float],
        answered: threading.Event,
        early: Early | None,
        readings: Readings,
        look_s: float,
    ) -> None:
        super().__init__(f"source {poll.source.name}")
        self.poll = poll
        self.clock = clock
        self.answered = answered
        self.early = early
        self.readings = readings
        self.look_s = look_s
        self._last: Any = None
        """The last answer."""
        self._took = 0.0
        """Seconds of the last look, or of the last answer at a beat if that is younger."""
        if early is not None:
            poll.source.news = partial(early.tell, poll)
        # An Event takes twice the processor time for a wait, which counts at twenty a second.
        self._wanted: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ask(self) -> None:
        """Has the source asked, without waiting for it."""
        self._wanted.put(None)

    def stop(self) -> None:
        super().stop()
        self.ask()

    def cycle(self) -> None:
        try:
            self._wanted.get(timeout=self._pause_s())
        except queue.Empty:
            self._look()
            return
        if not self.stopped.is_set():
            self.poll.ask(self.clock)
            reading = self.poll.reading
            if reading is not None:
                # Else a look that once took longer than a tenth of a beat would have been the last one.
                self._last, self._took = reading.answer, reading.taken - reading.asked
            self.answered.set()
            if self.early is not None:
                self.early.finished(self.poll)

    def _pause_s(self) -> float | None:
        """Returns the time until the next look by itself; None: there is none."""
        looks = self.look_s and self.poll.is_quick and self.readings.glances(self.poll)
        return max(self.look_s, REST * self._took) if looks else None

    def _look(self) -> None:
        """Asks the source between two beats, and wakes the engine if a task needs more by its answer."""
        asked = self.clock()
        try:
            answer = self._last if self.poll.source.unchanged() else self.poll.source.fetch()
        except Exception:  # the next beat finds it again, and logs it
            self.poll.took(math.inf)
            return
        taken = self.clock()
        # On a machine that is busy, each look takes longer, and so they become fewer.
        self.poll.took(taken - asked)
        # A source that has found nothing new may return the same object, and to compare that is not free.
        self._took = taken - asked
        if answer is self._last or answer == self._last:
            return
        if self.early is not None and not self.stopped.is_set():
            self._last = answer
            if self.readings.promises(self.poll, answer, taken):
                self.early.saw(self.poll, Reading(taken, asked, answer))
            self._took = self.clock() - asked

    def on_exit(self) -> None:
        self.poll.source.close()


class Sources:
    """The sources of some tasks, their threads, and their answers. `early`: those to look at between two
    beats; None: none. `look_s`: seconds between two looks at a cheap source, 0: none."""

    def __init__(
        self,
        tasks: Iterable[Task],
        beat_s: float,
        clock: Callable[[], float],
        early: Early | None = None,
        look_s: float = 0.0,
    ) -> None:
        self.early = early
        self.look_s = look_s
        self.beat_s = beat_s
        self.clock = clock
        self.answered = threading.Event()
        self.readings = Readings(tasks, MAX_AGE_BEATS * beat_s)
        self.generation = 0
        """That of the tasks which it has followed."""
        self.ended: list[StoppableThread] = []
        """Threads of earlier sources that were stopped, and may still wait for an answer."""
        self._by_poll = {poll: self._thread(poll) for poll in self.readings.polls}

    @property
    def threads(self) -> list[StoppableThread]:
        """One thread for each source; the engine starts and stops them."""
        return [*self._by_poll.values()]

    def follow(self, tasks: Tasks) -> list[StoppableThread]:
        """Takes over the tasks as they are now: `readings` follows them, and the threads of sources that no
        task has any more are stopped. Returns those of new sources, for the engine to start. The caller holds
        the lock."""
        self.readings.follow(tasks.tasks, self.generation)
        self.generation = tasks.generation
        before = self._by_poll
        self._by_poll = {poll: before.get(poll) or self._thread(poll) for poll in self.readings.polls}
        over = [thread for poll, thread in before.items() if poll not in self._by_poll]
        for thread in over:
            thread.stop()
        self.ended = [thread for thread in [*self.ended, *over] if not thread.over]
        if self.early is not None:
            self.early.forget(self._by_poll)
        return [thread for poll, thread in self._by_poll.items() if poll not in before]

    def _thread(self, poll: Poll) -> SourceThread:
        return SourceThread(poll, self.clock, self.answered, self.early, self.readings, self.look_s)

    def ask_early(self) -> list[Poll]:
        """Asks the sources that have reported a change, without waiting. Returns those of earlier calls that
        have answered."""
        if self.early is None:
            return []
        now = self.clock()
        for poll in self.early.to_ask(now):
            poll.start(now, PATIENCE_BEATS * self.beat_s)
            self._by_poll[poll].ask()
        return self.early.answered()

    def seen(self) -> list[tuple[Poll, Reading]]:
        """Returns the answers between two beats by which a task needs more, since the last call."""
        return [] if self.early is None else self.early.seen()

    def collect(self, patience_beats: float, stopped: threading.Event) -> None:
        """Asks every idle source, and waits for the answers, at most `patience_beats`."""
        patience_s = patience_beats * self.beat_s
        now = self.clock()
        for poll in self.readings.start(now, patience_s):
            self._by_poll[poll].ask()
        while not stopped.is_set():
            self.answered.clear()
            left = now + patience_s - self.clock()
            # A source that was late the last time is not waited for: it would delay every beat.
            if left <= 0 or not self.readings.awaited():
                break
            if not stopped.is_set():
                self.answered.wait(left)
        self.readings.give_up()
