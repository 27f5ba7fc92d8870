"""How busy the machine is, right now."""

from __future__ import annotations

import math
import os
import threading
from contextlib import suppress

LOOK_EVERY_S = 0.1
FADES_S = 3.0
"""The kernel's own average takes a minute to show that others have begun to work."""


class Load(threading.Thread):
    """Averages, over the last few seconds, how many threads run or wait for each processor."""

    def __init__(self) -> None:
        super().__init__(name="load", daemon=True)
        self.per_processor = _kernels_own()
        self._stopped = threading.Event()

    def __enter__(self) -> Load:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join()

    def run(self) -> None:
        weight = 1 - math.exp(-LOOK_EVERY_S / FADES_S)
        while not self._stopped.wait(LOOK_EVERY_S):
            with suppress(OSError, ValueError):  # not Linux: the kernel's average has to do
                with open("/proc/loadavg", encoding="ascii") as file:
                    running = int(file.read().split()[3].partition("/")[0]) - 1  # this thread runs, too
                self.per_processor += weight * (running / (os.cpu_count() or 1) - self.per_processor)

    def now(self) -> float:
        """Threads per processor: what is higher, the average here or the kernel's."""
        return max(self.per_processor, _kernels_own())


def _kernels_own() -> float:
    return os.getloadavg()[0] / (os.cpu_count() or 1)
