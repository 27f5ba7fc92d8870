"""The thread that looks at the tasks once a second, logs warnings, and passes events on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from microscaling.demand.tasks import Tasks
from microscaling.scheduler.base import Scheduler
from microscaling.utils.threads import StoppableThread
from microscaling.watch.events import Event, Events
from microscaling.watch.warnings import News, Warnings

log = logging.getLogger("mssagent")

EVERY_S = 1.0


class WatchThread(StoppableThread):
    """Looks on; nothing that it does has an effect on a decision. `after_s`: see Warnings; 0: no warnings.
    `takers` get the events; they must not block."""

    def __init__(
        self,
        tasks: Tasks,
        scheduler: Scheduler,
        after_s: float,
        takers: Iterable[Callable[[Iterable[Event]], object]] = (),
    ) -> None:
        super().__init__("mss-watch")
        self.takers = list(takers)
        self.events = Events(tasks) if self.takers else None
        self.tasks = tasks
        self.scheduler = scheduler
        self.warnings = Warnings(tasks, after_s) if after_s else None

    def cycle(self) -> None:
        news: list[News] = []
        if self.warnings is not None:
            news = self._warn(self.warnings)
        # Apart from the warnings' lock, as a look at containers may have come in between.
        if self.events is not None:
            with self.tasks:
                events = self.events.look(time.monotonic(), news)
            for take in self.takers:
                take(events)
        self.stopped.wait(EVERY_S)

    def _warn(self, warnings: Warnings) -> list[News]:
        now = time.monotonic()
        with self.tasks:
            news = warnings.look(now)
            suspects = warnings.suspects(now)
        for each in news:
            say(each)
        # Mostly none: see Warnings.suspects.
        for name in suspects:
            # Without the lock, as it asks the backend.
            at_work = self.scheduler.at_work(name)
            with self.tasks:
                warnings.looked(name, at_work, time.monotonic())
        return news


def say(news: News) -> None:
    """Logs a warning, or its end."""
    if news.over:
        log.info("%s: no longer so: %s", news.task, news.text)
    else:
        log.warning("%s: %s", news.task, news.text)
