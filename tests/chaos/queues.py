"""The queues' lengths, as they move by themselves."""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Iterator, Mapping

from tests.chaos.source import Source

MOVES_EVERY_S = 0.7


class Queues:
    """Moves the lengths all the time, but while they are held."""

    def __init__(self, sources: Mapping[str, Source], moves: Iterator[dict[str, int]]) -> None:
        self.sources = sources
        self.moves = moves
        self.held = False
        self.pinned: dict[str, int] = {}
        """Lengths of single queues that do not move, whatever the others do."""
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name="queues", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join()

    def hold(self, lengths: Mapping[str, int] | None = None) -> None:
        """They stay at these lengths, or as they are."""
        self.held = True
        self._set(lengths or {})

    def let_go(self) -> None:
        self.held = False

    def pin(self, names: Iterable[str], length: int) -> None:
        """These stay at this length."""
        self.pinned = {**self.pinned, **dict.fromkeys(names, length)}
        self._set({})

    def unpin(self, names: Container[str]) -> None:
        self.pinned = {name: length for name, length in self.pinned.items() if name not in names}

    def _run(self) -> None:
        while not self.stopped.wait(MOVES_EVERY_S):
            if not self.held:
                self._set(next(self.moves))

    def _set(self, lengths: Mapping[str, int]) -> None:
        for name, length in {**lengths, **self.pinned}.items():
            self.sources[name].waiting = length
