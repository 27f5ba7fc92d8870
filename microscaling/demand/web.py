"""The names of a web task's containers: when they get them, and when they lose them."""

from __future__ import annotations

from dataclasses import dataclass

UNLIST_S = 5.0


@dataclass(frozen=True, slots=True)
class Web:
    """A task whose containers are found by name: listed once they are ready, unlisted before they stop."""

    unlist_s: float = UNLIST_S
    """Seconds from the loss of its names to the stop of a container: the time for which proxies keep an
    address, and the longest request."""
    list_after_s: float | None = None
    """Seconds from its start at which a container is listed, ready or not; None: as long as it takes to tell
    whether it is ready, within bounds."""
    networks: tuple[str, ...] = ()
    """The networks on which it has names; empty: all of them."""
