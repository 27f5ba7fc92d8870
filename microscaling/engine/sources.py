"""The requests to all sources, one thread for each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.early import Early
from microscaling.engine.poll import Poll
from microscaling.engine.readings import MAX_AGE_BEATS, Readings
from microscaling.utils.threads import StoppableThread

FIRST_PATIENCE_BEATS = 2.0
PATIENCE_BEATS = 0.25


class SourceThread(StoppableThread):
    """Asks one source whenever `wanted` is set; a source that hangs delays no other."""

    def __init__(
        self,
        poll: Poll,
        clock: Callable[[], float],
        answered: threading.Event,
        early: Early | None = None,
    ) -> None:
        super().__init__(f"source {poll.source.name}")
        self.poll = poll
        self.clock = clock
        self.answered = answered
        self.early = early
        if early is not None:
            poll.source.news = partial(early.tell, poll)
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
            if self.early is not None:
                self.early.finished(self.poll)

    def on_exit(self) -> None:
        self.poll.source.close()


class Sources:
    """The sources of some tasks, their threads, and their answers. `early`: those to look at between two
    beats; None: none."""

    def __init__(
        self,
        tasks: Iterable[Task],
        beat_s: float,
        clock: Callable[[], float],
        early: Early | None = None,
    ) -> None:
        self.early = early
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
        return SourceThread(poll, self.clock, self.answered, self.early)

    def ask_early(self) -> list[Poll]:
        """Asks the sources that have told of a change, without waiting. Returns those of earlier calls that
        have answered."""
        if self.early is None:
            return []
        now = self.clock()
        for poll in self.early.to_ask(now):
            poll.start(now, PATIENCE_BEATS * self.beat_s)
            self._by_poll[poll].wanted.set()
        return self.early.answered()

    def collect(self, patience_beats: float, stopped: threading.Event) -> None:
        """Asks every idle source, and waits for the answers, at most `patience_beats`."""
        patience_s = patience_beats * self.beat_s
        now = self.clock()
        for poll in self.readings.start(now, patience_s):
            self._by_poll[poll].wanted.set()
        while not stopped.is_set():
            self.answered.clear()
            left = now + patience_s - self.clock()
            # A source that was late the last time is not waited for: it would delay every beat.
            if left <= 0 or not self.readings.awaited():
                break
            if not stopped.is_set():
                self.answered.wait(left)
        self.readings.give_up()
