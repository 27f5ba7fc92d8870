"""The progress of the pulls under way: a bar for each on a terminal, or a line each 5 s in a log."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from types import TracebackType

from microscaling.log import terminal

log = logging.getLogger("mssutils")

SAY_EVERY_S = 5.0
DRAW_EVERY_S = 0.1
WIDTH = 20
"""Characters of a bar."""


class Progress:
    """How far the pull of one image is. Those under way share the last line of the terminal."""

    _lock = threading.Lock()
    _under_way: dict[Progress, str] = {}  # noqa: RUF012  # one line for all of them

    def __init__(self, image: str) -> None:
        self.image = image
        self._said = time.monotonic()
        self._drawn = float("-inf")

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Drawn without our lock, as the handler has its own, which whoever logs may hold.
        with self._lock:
            was_shown = self._under_way.pop(self, None) is not None
        if was_shown:
            self._draw()

    def update(self, have: int, total: int) -> None:
        """Shows that so many bytes of `total` are here."""
        now = time.monotonic()
        if terminal() is None:
            if now - self._said >= SAY_EVERY_S:
                self._said = now
                log.info("pulling %s: %.0f of %.0f MB", self.image, have / 1e6, total / 1e6)
        elif now - self._drawn >= DRAW_EVERY_S:
            self._drawn = now
            with self._lock:
                self._under_way[self] = f"{self.image} {bar(have, total)}"
            self._draw()

    def _draw(self) -> None:
        shown = terminal()
        if shown is not None:
            with self._lock:
                line = "  ".join(self._under_way.values())
            shown.show(line[: shutil.get_terminal_size().columns - 1])


def bar(have: int, total: int) -> str:
    """Draws bytes of a total: `[#####...............] 3 of 12 MB`."""
    done = WIDTH * min(have, total) // max(1, total)
    return f"[{'#' * done:.<{WIDTH}}] {have / 1e6:.0f} of {total / 1e6:.0f} MB"
