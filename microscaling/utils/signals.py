"""SIGTERM and SIGINT as a flag."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def caught(stopping: threading.Event) -> Iterator[None]:
    """Inside, SIGTERM and SIGINT set the flag, and a second one ends the process at once with exit
    code 1. Only the main thread can have it so; in others nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: object) -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
