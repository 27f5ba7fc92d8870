"""Retries of a step of the start, until the other side answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from microscaling.errors import ConfigError, Stopped, TemporaryError
from microscaling.utils.backoff import Backoff
from microscaling.utils.failure_log import FailureLog

T = TypeVar("T")

RETRY_S, JITTER = 0.25, 0.2


class Patience:
    """Repeats steps after each TemporaryError, with the delay that it names, or growing ones up to
    `max_retry_s` seconds. Logs the causes, and the end of the wait."""

    def __init__(
        self, log: logging.Logger, max_retry_s: float, stopped: threading.Event | None = None
    ) -> None:
        self.log = log
        self.max_retry_s = max_retry_s
        self.stopped = stopped or threading.Event()
        self.waits = False
        """A step has failed for now and is tried again."""

    def run(self, step: Callable[[], T], most_s: float = float("inf")) -> T:
        """Returns the result of the step. Raises the last error after `most_s` seconds, ConfigError at once
        if only a person can mend the cause, and Stopped once `stopped` is set."""
        # Both anew for each step: one may wait for an engine, and the next for a registry.
        backoff, failure_log = Backoff(RETRY_S, self.max_retry_s, JITTER), FailureLog()
        until = time.monotonic() + most_s
        while not self.stopped.is_set():
            try:
                answer = step()
            except TemporaryError as error:
                if error.hopeless:
                    raise ConfigError(str(error)) from error
                delay_s = error.delay_s or backoff.next()
                if time.monotonic() + delay_s > until:
                    raise  # now, as the next try would come too late
                if failure_log.failed(time.monotonic(), str(error)):
                    self.log.warning("waiting: %s", error)
                self.waits = True
                self.stopped.wait(delay_s)
            else:
                if failure_log.recovered():
                    self.log.info("it answers now, the start continues")
                self.waits = False
                return answer
        raise Stopped("asked to stop before the start was over")
