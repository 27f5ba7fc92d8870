"""Containers that are started ahead: ready, frozen, and told to begin when they are needed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Warm:
    """A task whose containers load first, and work only once they are told go."""

    count: int
    """How many of them are kept frozen beside those that work, at most."""
    after: str = ""
    """The file by which a container shows that it is ready; empty: when it is healthy, or `stops`."""
    signal: str = ""
    """The signal, without SIG, that tells a container go."""
    file: str = ""
    """The file that tells it in place of a signal; both empty: nothing tells it, as it waits for requests."""

    stops: bool = False
    """It shows that it is ready by stopping itself, with SIGSTOP; SIGCONT is its go."""

    @property
    def has_go(self) -> bool:
        """True if a container has to be told."""
        return bool(self.signal or self.file)
